"""`seqgen corpus`: the catalogue of corpora known by name."""

from typing import TYPE_CHECKING, Annotated

import typer

from seqgen.cli.commands import plain_typer
from seqgen.cli.console import console, notice
from seqgen.errors import CorpusError

if TYPE_CHECKING:
    from pathlib import Path

    from seqgen.data.catalogue import Manifest, RemoteFile

app = plain_typer(help="List, show and fetch the corpora known by name.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="One that `seqgen corpus list` shows.")]

_NAMES = typer.Argument(metavar="NAME", help="Those that `seqgen corpus list` shows.")


@app.command("list")
def list_() -> None:
    """List the corpora known by name, and whether each is here.

    Example: seqgen corpus list
    """
    from seqgen.data.catalogue import list_manifests

    manifests = list_manifests()
    width = max(len(manifest.name) for manifest in manifests)
    for manifest in manifests:
        print(f"{manifest.name:<{width}}  {_state(manifest):<16}  {manifest.title}")


@app.command()
def show(name: Name) -> None:
    """Show what a corpus is, where it lies and under which terms.

    Example: seqgen corpus show folksong
    """
    from seqgen.data.catalogue import manifest_terms

    manifest = _find(name)
    print(f"{manifest.name}: {manifest.title}\n\n{manifest.description}\n")
    print(f"licence  {manifest.licence}")
    print(f"state    {_state(manifest)}")
    print(f"folder   {manifest.folder()}")
    for pattern in manifest.paths:
        print(f"files    {pattern}")
    for pattern in manifest.exclude:
        print(f"without  {pattern}")
    for file in manifest.files:
        print(f"file     {file.name}  {file.size:,} bytes  sha256 {file.sha256}\n         {file.url}")
    if terms := manifest_terms(manifest):
        print(f"\nTerms, as {manifest.package} states them:\n\n{terms}")


@app.command()
def fetch(names: Annotated[list[str], _NAMES]) -> None:
    """Fetch corpora into the cache, verified.

    A broken transfer goes on where it stopped.

    Example: seqgen corpus fetch tinyshakespeare
    """
    for manifest in [_find(name) for name in names]:
        paths = _fetch(manifest)
        notice(f"{manifest.name}: {manifest.size / 1e6:.1f} MB in place, licence: {manifest.licence}")
        for path in paths:
            print(path)


def _fetch(manifest: "Manifest") -> "list[Path]":
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from seqgen.data.fetch import fetch_corpus

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console(), transient=True) as bars:
        tasks = {file.name: bars.add_task(file.name, total=file.size) for file in manifest.files}

        def show_progress(file: "RemoteFile", done: int) -> None:
            bars.update(tasks[file.name], completed=done)

        return fetch_corpus(manifest, progress=show_progress)


def _find(name: str) -> "Manifest":
    from seqgen.data.catalogue import find_manifest, list_manifests

    manifest = find_manifest(name)
    if manifest is None:
        known = ", ".join(manifest.name for manifest in list_manifests())
        raise CorpusError(f"{name}: no corpus of that name; known: {known}")
    return manifest


def _state(manifest: "Manifest") -> str:
    if manifest.embedded:
        return "embedded"
    folder = manifest.folder()
    present = all((folder / file.name).is_file() for file in manifest.files)
    return "fetched" if present else f"fetch {manifest.size / 1e6:.1f} MB"
