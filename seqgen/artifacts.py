"""Model directories and checkpoints: the only module that knows their files.

    models/NAME/
      artifact.yaml            format, configuration, source, scores, sha256 of every file below; written last
      weights-<hash>.safetensors
      tokenizer/vocab.json
      tokenizer/target.json    of a translation model whose target has a vocabulary of its own
      history.jsonl            one line a validation
      README.md                the model card; yours to edit, so it is not hashed
      checkpoint/              where `seqgen train --resume` goes on; not needed to use the model

`artifact.yaml` is the commit mark: it names the weights by content and is put in place by os.replace after
everything it names, so a reader sees the old model or the new one and never a mixture.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqgen.config import Config, build_config, load_yaml, to_plain
from seqgen.errors import ArtifactError, ConfigError
from seqgen.files import file_hash, missing, replacing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seqgen.data.tokenizers import Tokenizer

    Arrays = Mapping[str, NDArray[np.generic]]

FORMAT = 1
METADATA = "artifact.yaml"
TOKENIZER = "tokenizer/vocab.json"
TARGET_TOKENIZER = "tokenizer/target.json"
HISTORY = "history.jsonl"
CARD = "README.md"
CHECKPOINT = "checkpoint"


@dataclass(frozen=True)
class Artifact:
    """A trained model on disk.

    Attributes:
        config: The complete configuration it was trained with.
        source: What it was trained on: `corpus` (as named by the user), `corpus_hash`, `index_hash`.
        scores: Results by name; each names its protocol.
        content_hash: sha256 of `artifact.yaml`, which hashes everything else.
    """

    path: Path
    config: Config
    source: dict[str, Any]
    scores: dict[str, Any]
    files: dict[str, str]
    content_hash: str

    @cached_property
    def tokenizer(self) -> "Tokenizer":
        """The tokenizer whose ids the weights were trained on."""
        from seqgen.data.tokenizers import load_tokenizer

        return load_tokenizer(self.path / TOKENIZER)

    @cached_property
    def target_tokenizer(self) -> "Tokenizer":
        """The tokenizer of what a translation model writes; the other one where it has no own."""
        from seqgen.data.tokenizers import load_tokenizer

        return (
            load_tokenizer(self.path / TARGET_TOKENIZER) if TARGET_TOKENIZER in self.files else self.tokenizer
        )

    def weights(self) -> "dict[str, NDArray[np.float32]]":
        """Read the weights as float32 arrays by parameter name."""
        from safetensors.numpy import load_file

        name = next(name for name in self.files if name.startswith("weights-"))
        weights: dict[str, NDArray[np.float32]] = load_file(self.path / name)
        return weights

    def history(self) -> list[dict[str, Any]]:
        """Read the training history, oldest first."""
        return read_history(self.path)


def is_model(path: Path) -> bool:
    """Tell whether a directory holds a model or a training that can be resumed."""
    return (path / METADATA).is_file() or (path / CHECKPOINT).is_dir()


def load_artifact(path: Path, *, verify: bool = True) -> Artifact:
    """Open a model directory.

    Args:
        path: The directory.
        verify: Compare every file with its recorded sha256; a few milliseconds for a small model.

    Raises:
        ArtifactError: If it is no artifact, of a newer format, or a file is missing or changed.
    """
    metadata = path / METADATA
    if not metadata.is_file():
        raise ArtifactError(_not_a_model(path))
    try:
        record = load_yaml(metadata)
        found = record.get("format")
        if not isinstance(found, int) or found > FORMAT:
            raise ArtifactError(
                f"{metadata}: format {found}, this seqgen reads up to {FORMAT}; upgrade seqgen"
            )
        config = build_config(record["config"], source=str(metadata))
        files = dict(record["files"])
        artifact = Artifact(
            path=path,
            config=config,
            source=dict(record["source"]),
            scores=dict(record["scores"]),
            files=files,
            content_hash=file_hash(metadata),
        )
    except (ConfigError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{metadata}: damaged ({error}); restore it or train again") from error
    for name, expected in files.items():
        if not (path / name).is_file():
            raise ArtifactError(f"{path / name}: missing; restore it or train again")
        if verify and file_hash(path / name) != expected:
            raise ArtifactError(f"{path / name}: changed since it was written; restore it or train again")
    return artifact


TASKS = {
    "lm": ("a language model", "sample"),
    "classify": ("a classifier", "classify"),
    "translate": ("a translation model", "translate"),
}
"""What a model of each task is called, and the command that uses it."""


def require_task(artifact: Artifact, task: str) -> Artifact:
    """Return an artifact that is a model for a task.

    Raises:
        ArtifactError: If it is for another one, naming the command that takes it.
    """
    found = artifact.config.task
    if found != task:
        is_one, command = TASKS[found]
        wanted, _ = TASKS[task]
        raise ArtifactError(
            f"{artifact.path}: {is_one}, where {wanted} is needed; use `seqgen {command} {artifact.path}`"
        )
    return artifact


def _not_a_model(path: Path) -> str:
    if not path.exists():
        return missing(path, what="model", otherwise=f"`seqgen train CORPUS -o {path}` makes one")
    if (path / CHECKPOINT).is_dir():
        return f"{path}: its training stopped before the first validation; go on with --resume"
    return f"{path}: not a model directory ({METADATA} is missing)"


def write_artifact(
    path: Path,
    *,
    config: Config,
    weights: "Arrays",
    tokenizer: "Tokenizer",
    history: list[dict[str, Any]],
    source: Mapping[str, Any],
    scores: Mapping[str, Any],
    card: str | None = None,
    target_tokenizer: "Tokenizer | None" = None,
) -> None:
    """Write or replace a model directory; a crash at any point leaves the former model whole.

    Args:
        path: The directory.
        config: The complete configuration.
        weights: float32 arrays by parameter name.
        tokenizer: Saved beside the weights.
        history: One record a validation.
        source: What it was trained on.
        scores: Results by name, each with its protocol.
        card: The text of README.md; None leaves the present one.
        target_tokenizer: Of what a translation model writes, where it has one of its own.
    """
    import yaml
    from safetensors.numpy import save

    blob = save({name: _contiguous(array) for name, array in weights.items()})
    weights_name = f"weights-{sha256(blob).hexdigest()[:12]}.safetensors"
    with replacing(path / weights_name) as aside:
        aside.write_bytes(blob)
    (path / TOKENIZER).parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(path / TOKENIZER)
    if target_tokenizer is not None:
        target_tokenizer.save(path / TARGET_TOKENIZER)
    write_history(path, history)
    if card is not None:
        with replacing(path / CARD) as aside:
            aside.write_text(card, encoding="utf-8")
    names = [weights_name, TOKENIZER, HISTORY, *[TARGET_TOKENIZER] * (target_tokenizer is not None)]
    record = {
        "format": FORMAT,
        "config": to_plain(config),
        "source": dict(source),
        "scores": dict(scores),
        "files": {name: file_hash(path / name) for name in names},
    }
    with replacing(path / METADATA) as aside:
        aside.write_text(yaml.safe_dump(record, sort_keys=False, allow_unicode=True), encoding="utf-8")
    for old in path.glob("weights-*.safetensors"):
        if old.name != weights_name:
            old.unlink()


def _contiguous(array: "NDArray[np.generic]") -> "NDArray[np.generic]":
    import numpy as np

    return np.ascontiguousarray(array)


def write_history(path: Path, history: list[dict[str, Any]]) -> None:
    """Write the training history of a model directory as JSON lines."""
    with replacing(path / HISTORY) as aside:
        aside.write_text("".join(json.dumps(record) + "\n" for record in history), encoding="utf-8")


def read_history(path: Path) -> list[dict[str, Any]]:
    """Read the training history of a model directory; empty where there is none yet."""
    file = path / HISTORY
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state of an unfinished training, complete enough to go on bit for bit.

    Attributes:
        tensors: Parameters, optimiser moments and carried state, by name.
        progress: Plain values: step, epoch, position, elapsed seconds, best loss ...
        config: The configuration of the run.
        source: What it trains on, as in the artifact.
        history: The validations so far.
    """

    tensors: "dict[str, NDArray[np.generic]]" = field(repr=False)
    progress: dict[str, Any]
    config: Config
    source: dict[str, Any]
    history: list[dict[str, Any]]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint/` of a model directory; `progress.json` is its commit mark."""
    from safetensors.numpy import save

    folder = path / CHECKPOINT
    blob = save({name: _contiguous(array) for name, array in checkpoint.tensors.items()})
    digest = sha256(blob).hexdigest()
    name = f"state-{digest[:12]}.safetensors"
    with replacing(folder / name) as aside:
        aside.write_bytes(blob)
    record = {
        "format": FORMAT,
        "state": name,
        "sha256": digest,
        "progress": checkpoint.progress,
        "config": to_plain(checkpoint.config),
        "source": checkpoint.source,
        "history": checkpoint.history,
    }
    with replacing(folder / "progress.json") as aside:
        aside.write_text(json.dumps(record, indent=1), encoding="utf-8")
    for old in folder.glob("state-*.safetensors"):
        if old.name != name:
            old.unlink()


def load_checkpoint(path: Path) -> Checkpoint:
    """Read `checkpoint/` of a model directory.

    Raises:
        ArtifactError: If there is none, or it is damaged.
    """
    from safetensors.numpy import load

    folder = path / CHECKPOINT
    file = folder / "progress.json"
    if not file.is_file():
        raise ArtifactError(f"{path}: no checkpoint to resume from; train without --resume")
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        blob = (folder / record["state"]).read_bytes()
        if sha256(blob).hexdigest() != record["sha256"]:
            raise ArtifactError(f"{folder / record['state']}: changed since it was written; train again")
        return Checkpoint(
            tensors=load(blob),
            progress=record["progress"],
            config=build_config(record["config"], source=str(file)),
            source=record["source"],
            history=record["history"],
        )
    except (OSError, KeyError, TypeError, ValueError, ConfigError) as error:
        raise ArtifactError(f"{file}: damaged ({error}); train again without --resume") from error
