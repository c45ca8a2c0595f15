"""`seqgen replay`: the samples of a receipt, made again and proved to be the same."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqgen.cli.console import notice
from seqgen.cli.options import file_to_write
from seqgen.cli.prompts import standard_input
from seqgen.cli.recording import check_files, plan_again
from seqgen.cli.sample import plan_samples
from seqgen.cli.sample_options import BatchSize
from seqgen.cli.sample_run import write_parts
from seqgen.errors import ArtifactError, ConfigError
from seqgen.files import missing

if TYPE_CHECKING:
    from seqgen.sampling.receipts import Receipt

_OUTPUT = typer.Option(
    "--output", "-o", callback=file_to_write, help="Write to this file; else to standard output."
)


def replay(
    receipt: Annotated[Path, typer.Argument(metavar="RECEIPT", help="What `seqgen sample --receipt` wrote.")],
    model: Annotated[Path | None, typer.Option(help="Where the model is now, if it was moved.")] = None,
    output: Annotated[Path | None, _OUTPUT] = None,
    batch_size: BatchSize = None,
) -> None:
    """Make the samples of a receipt again, the same to the byte.

    Each sample is compared with the receipt's sha256 before it is written. If the model, a file that was
    read or the machine is another, so that it cannot be made again, that is told and it is not written.

    Example: seqgen replay receipt.json -o again.txt
    """
    from seqgen.sampling.receipts import checked, read_receipt

    kept = read_receipt(receipt)
    path = Path(kept.model["path"]) if model is None else model
    _check_model(path, kept, receipt)
    check_files(kept)
    _check_device(kept, receipt)
    settings = {
        **kept.settings,
        "model": path,
        "output": output,
        "receipt": None,
    }
    if batch_size is not None:
        settings["batch_size"] = batch_size
    with standard_input(kept.stdin):
        run = replace(plan_again(plan_samples, settings, source=receipt), name=kept.model["name"])
    if run.lookups.index_hash != kept.index_hash:
        raise ConfigError(f"{receipt}: the corpus that was searched has changed since; restore it")
    parts = checked(run.parts(), kept, source=str(receipt))
    write_parts(parts, output, run.form, run.count)
    differences = kept.differences()
    beside = f", although made elsewhere ({differences})" if differences else ""
    notice(f"{len(kept.samples)} of {len(kept.samples)} samples are those of the receipt{beside}")


def _check_model(path: Path, kept: "Receipt", receipt: Path) -> None:
    from seqgen.artifacts import load_artifact

    if not path.exists():
        moved = f"{receipt} was made with it; --model DIR says where it is now"
        raise ConfigError(missing(path, what="model", otherwise=moved))
    found, expected = load_artifact(path).content_hash, kept.model["content_hash"]
    if found != expected:
        raise ArtifactError(
            f"{path}: another model (sha256 {found[:12]}) than the one of {receipt} ({expected[:12]}); "
            "give the model that made it with --model DIR"
        )


def _check_device(kept: "Receipt", receipt: Path) -> None:
    from seqgen.runtime import choose_device

    if kept.device is None:
        return
    try:
        choose_device(kept.device)
    except ConfigError as error:
        raise ConfigError(
            f"{receipt}: made with --device {kept.device}, which this machine does not have; "
            "replay it where there is one"
        ) from error
