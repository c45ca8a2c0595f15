"""Receipts at the command line: what a call of `seqgen sample` was told, and telling it the same again.

Options are recorded by the names and values with which the command is called, all of them, and read back by
the types that the command declares: a new option is in every receipt without being mentioned here.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqgen.cli.prompts import STDIN
from seqgen.errors import ArtifactError, ConfigError
from seqgen.files import missing

if TYPE_CHECKING:
    from seqgen.cli.sample_run import Run
    from seqgen.sampling.receipts import Receipt, SampleRecord

OUTPUTS = ("output", "receipt")
"""Options that name what is written, not what is read."""


def make_receipt(
    given: Mapping[str, Any], run: "Run", stdin: bytes | None, samples: "list[SampleRecord]"
) -> "Receipt":
    """Return the receipt of a run that has ended.

    Args:
        given: The options that the command was called with.
        run: What they came to.
        stdin: What it read from standard input.
        samples: What came out.
    """
    from seqgen import __version__
    from seqgen.sampling.receipts import Receipt, content_hash, machine_kind

    settings = {name: _plain(value) for name, value in given.items()}
    # What was left to chance, to a file name, to the machine or to this version is settled.
    settings |= {"seed": run.config.seed, "form": run.form, "length": run.config.length}
    settings |= {"device": run.device, "batch_size": run.batch_size or run.sampler.decoder.batch_size}
    read = [value for name, value in given.items() if isinstance(value, Path) and name not in OUTPUTS]
    if run.artifact.tokenizer.modality == "music" and given["prompt"] not in (None, STDIN):
        read.append(Path(given["prompt"]))
    return Receipt(
        seqgen=__version__,
        model={
            "name": run.name,
            "path": str(run.artifact.path.resolve()),
            "content_hash": run.artifact.content_hash,
        },
        machine=machine_kind(run.device),
        settings=settings,
        files={str(path): content_hash(path) for path in read if path != run.artifact.path},
        stdin=stdin,
        samples=tuple(samples),
        index_hash=run.lookups.index_hash,
    )


def _plain(value: Any) -> Any:
    """Return an option's value as JSON has it."""
    if isinstance(value, Path):
        return str(value)
    return [*map(_plain, value)] if isinstance(value, list | tuple) else value


def plan_again(command: "Callable[..., Run]", settings: Mapping[str, Any], *, source: Path) -> "Run":
    """Call a command as a receipt says, each value read as the type that the command declares.

    Raises:
        ArtifactError: If it has no such option, or not such a value.
    """
    from pydantic import ValidationError, validate_call

    try:
        planned = validate_call(command)(**settings)
    except ValidationError as error:
        name = error.errors()[0]["loc"][0]
        raise ArtifactError(
            f"{source}: {name} {settings.get(str(name))} is no option of this seqgen sample; "
            "replay it with the version that made it"
        ) from error
    return planned


def check_files(receipt: "Receipt") -> None:
    """Refuse files that are not those a receipt was made with.

    Raises:
        ConfigError: If one is missing or has another content.
    """
    from seqgen.sampling.receipts import content_hash

    for name, expected in receipt.files.items():
        if not Path(name).exists():
            raise ConfigError(missing(Path(name), otherwise="the samples of the receipt need it"))
        if content_hash(Path(name)) != expected:
            raise ConfigError(f"{name}: changed since the receipt was made; restore it")
