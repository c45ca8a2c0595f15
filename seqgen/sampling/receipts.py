"""Receipts: what made some samples, so that they can be made again and be proved to be the same.

A receipt is one JSON file: the model by the hash of its content, every option, what was read besides
(standard input, files), the kind of machine, and of each sample the sha256 of its bytes, its log-probability
and how it ended. A sample of compiled code is the same at any batch size and number of threads. What torch
computes depends on both in its last bits: a receipt then names the device, and is made again at its own batch
size.
"""

import json
import platform
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from seqgen import __version__
from seqgen.errors import ArtifactError, ConfigError
from seqgen.files import file_hash, replacing, unreadable
from seqgen.runtime import describe_device
from seqgen.sampling.parts import Part

FORMAT = 1
DECISIVE_FEATURES = ("fma", "avx2", "avx512f", "avx512vnni", "avx512bf16", "neon", "dotprod")
"""Of a processor: which instructions multiply."""
DECISIVE_LIBRARIES = ("numba", "numpy", "symusic", "music21")
SHOWN_DIGITS = 12  # of a hash in a message


@dataclass(frozen=True)
class SampleRecord:
    """One sample.

    Attributes:
        number: From 1.
        sha256: Of its share of the output.
        size_bytes: Of that.
        tokens: How many were drawn.
        logprob_nats: Of all draws together, under the model alone.
        end: `eos`, `stop` or `length`.
    """

    number: int
    sha256: str
    size_bytes: int
    tokens: int
    logprob_nats: float
    end: str


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """All that decides some samples, and what they were.

    Attributes:
        seqgen: The version.
        model: Its `name`, `path` and `content_hash`.
        machine: See `machine_kind`.
        settings: Every option of the command by name, those left alone too.
        files: The sha256 of what was read, by path.
        stdin: What came from standard input, if that was read.
        samples: In order.
        index_hash: The sha256 of the index that was searched, if any was.
    """

    seqgen: str
    model: Mapping[str, str]
    machine: Mapping[str, Any]
    settings: Mapping[str, Any]
    files: Mapping[str, str]
    stdin: bytes | None
    samples: tuple[SampleRecord, ...]
    index_hash: str = ""

    @property
    def device(self) -> str | None:
        """Of torch, if that computed them."""
        device: str | None = self.settings.get("device")
        return device

    def differences(self) -> str:
        """Say in what machine and seqgen differ from those that made the samples; empty if in nothing."""
        now = {"seqgen": __version__, **machine_kind(self.device)}
        then = {"seqgen": self.seqgen, **self.machine}
        return ", ".join(
            f"{name} {then.get(name, 'unknown')} then and {now.get(name, 'unknown')} now"
            for name in {**then, **now}
            if then.get(name) != now.get(name)
        )


def machine_kind(device: str | None = None) -> dict[str, Any]:
    """Return what of a machine can decide the bytes of a sample.

    Products of int8 weights are exact in integers and those of float32 keep their order, so most machines
    agree; logarithms come from the C library. Those of torch depend on its device.

    Args:
        device: Of torch, if that computes them.
    """
    from llvmlite.binding import get_host_cpu_features

    features = get_host_cpu_features()
    libc = " ".join(platform.libc_ver()).strip()
    return {
        "system": " ".join(filter(None, (platform.system(), platform.machine(), libc))),
        "features": " ".join(name for name in DECISIVE_FEATURES if features.get(name)),
        **{name: _version(name) for name in DECISIVE_LIBRARIES},
        **({} if device is None else describe_device(device)),
    }


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "none"


def content_hash(path: Path) -> str:
    """Return the sha256 of a file, or of the names and contents of all files of a folder.

    Raises:
        ConfigError: If it cannot be read.
    """
    try:
        if path.is_file():
            return file_hash(path)
        digest = sha256()
        for file in sorted(path.rglob("*") if path.is_dir() else [path]):
            if not file.is_dir():
                digest.update(f"{file.relative_to(path).as_posix()}\0{file_hash(file)}\n".encode())
    except OSError as error:
        raise ConfigError(unreadable(path, error)) from error
    return digest.hexdigest()


def recorded(parts: Iterable[Part], records: list[SampleRecord]) -> Iterator[Part]:
    """Pass parts on, and add a record for each sample that they complete."""
    digest, size = sha256(), 0
    for part in parts:
        digest.update(part.data)
        size += len(part.data)
        if part.outcome is not None:
            tokens, logprob, end = part.outcome
            records.append(SampleRecord(part.number, digest.hexdigest(), size, tokens, logprob, end))
            digest, size = sha256(), 0
        yield part


def checked(parts: Iterable[Part], receipt: Receipt, *, source: str) -> Iterator[Part]:
    """Pass on whole samples that are those of a receipt.

    Args:
        parts: Of the samples, made anew.
        receipt: What they should be.
        source: What messages call it.

    Raises:
        ArtifactError: If one differs, which is not passed on, or there are more or fewer.
    """
    records: list[SampleRecord] = []
    held: list[bytes] = []
    for part in recorded(parts, records):
        held.append(part.data)
        if part.outcome is None:
            continue
        expected = receipt.samples[part.number - 1] if part.number <= len(receipt.samples) else None
        if expected is None or records[-1].sha256 != expected.sha256:
            raise ArtifactError(_mismatch(receipt, records[-1], expected, source))
        yield part._replace(data=b"".join(held))
        held = []
    if len(records) < len(receipt.samples):
        raise ArtifactError(f"{source}: {len(receipt.samples)} samples, but only {len(records)} came out")


def _mismatch(receipt: Receipt, found: SampleRecord, expected: SampleRecord | None, source: str) -> str:
    if expected is None:
        return f"{source}: {len(receipt.samples)} samples, but more came out"
    differences = receipt.differences()
    why = "was the receipt edited?"
    if differences:
        why = f"this is another kind of machine: {differences}"
    elif receipt.device is not None:
        batch_size = receipt.settings["batch_size"]
        why = (
            f"--device {receipt.device} repeats itself at the same --batch-size, {batch_size} in the receipt"
        )
    return (
        f"{source}: sample {found.number} comes out as {found.sha256[:SHOWN_DIGITS]}, "
        f"not as {expected.sha256[:SHOWN_DIGITS]}; {why}"
    )


def write_receipt(path: Path, receipt: Receipt) -> None:
    """Write a receipt, whole or not at all."""
    record = {"format": FORMAT, **asdict(receipt), "stdin": _as_text(receipt.stdin)}
    with replacing(path) as aside:
        aside.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def read_receipt(path: Path) -> Receipt:
    """Read a receipt.

    Raises:
        ArtifactError: If there is none, or it is damaged or of a newer format.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["format"] > FORMAT:
            raise ArtifactError(
                f"{path}: format {record['format']}, this seqgen reads up to {FORMAT}; upgrade seqgen"
            )
        del record["format"]
        record["stdin"] = _as_bytes(record["stdin"])
        record["samples"] = tuple(SampleRecord(**sample) for sample in record["samples"])
        receipt = Receipt(**record)
        if not {"name", "path", "content_hash"} <= receipt.model.keys():
            raise ValueError("model")
    except OSError as error:
        raise ArtifactError(unreadable(path, error)) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(
            f"{path}: not a receipt, or damaged; `seqgen sample --receipt` makes one"
        ) from error
    return receipt


def _as_text(content: bytes | None) -> dict[str, str] | None:
    """Return bytes as a person can read them if they are UTF-8, else as base64."""
    if content is None:
        return None
    try:
        return {"text": content.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": b64encode(content).decode("ascii")}


def _as_bytes(stored: Mapping[str, str] | None) -> bytes | None:
    if stored is None:
        return None
    return stored["text"].encode("utf-8") if "text" in stored else b64decode(stored["base64"], validate=True)
