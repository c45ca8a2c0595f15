"""Fetching the files of a corpus: resumed where a former attempt stopped, verified, put in place whole."""

from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from seqgen.data.catalogue import Manifest, RemoteFile
from seqgen.errors import CorpusError
from seqgen.files import file_hash

TIMEOUT_SECONDS = 30.0
_CHUNK_BYTES = 1 << 16

Progress = Callable[[RemoteFile, int], None]
"""Called with the file and the bytes of it that are here so far."""


def fetch_corpus(manifest: Manifest, *, progress: Progress = lambda file, done: None) -> list[Path]:
    """Fetch what is missing of a corpus into the cache and return the paths of its files.

    Raises:
        CorpusError: If a file cannot be fetched or is not what its manifest says.
    """
    if manifest.embedded:
        raise CorpusError(f"{manifest.name} comes with {manifest.package}; there is nothing to fetch")
    return [_fetch_file(file, manifest.folder() / file.name, progress) for file in manifest.files]


def _fetch_file(file: RemoteFile, path: Path, progress: Progress) -> Path:
    if path.is_file() and path.stat().st_size == file.size and file_hash(path) == file.sha256:
        progress(file, file.size)
        return path
    part = path.with_name(path.name + ".part")
    if not part.is_file() or part.stat().st_size < file.size:
        _download(file, part, progress)
    found = file_hash(part)
    if part.stat().st_size != file.size or found != file.sha256:
        part.unlink()
        raise CorpusError(
            f"{file.url}: not the expected file (sha256 {found[:12]}…, expected {file.sha256[:12]}…); "
            "it was removed; try again, or the file has changed at its source"
        )
    part.replace(path)
    return path


def _download(file: RemoteFile, part: Path, progress: Progress) -> None:
    """Append to `part` what is missing of it; on failure it stays, for the next attempt to go on from."""
    if urlsplit(file.url).scheme not in ("https", "http"):
        raise CorpusError(f"{file.url}: only http and https addresses can be fetched")
    done = part.stat().st_size if part.is_file() else 0
    headers = {"User-Agent": "seqgen"} | ({"Range": f"bytes={done}-"} if done else {})
    try:
        with urlopen(Request(file.url, headers=headers), timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
            _receive(response, file, part, done, progress)
    except HTTPError as error:
        if error.code == 416:  # what is here does not fit what the server has: begin anew next time
            part.unlink(missing_ok=True)
        raise CorpusError(f"{file.url}: the server answers {error.code} {error.reason}") from error
    except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise CorpusError(f"{file.url}: {reason}; try again, what is here is kept") from error
    if part.stat().st_size < file.size:
        raise CorpusError(
            f"{file.url}: ended after {part.stat().st_size:,} of {file.size:,} bytes; "
            "run the same command again to go on from there"
        )


def _receive(response: HTTPResponse, file: RemoteFile, part: Path, done: int, progress: Progress) -> None:
    resumed = response.status == 206 and response.headers.get("Content-Range", "").startswith(
        f"bytes {done}-"
    )
    if not resumed:
        done = 0  # a server without ranges sends the whole file again
    with part.open("ab" if resumed else "wb") as output:
        while done <= file.size and (chunk := response.read1(_CHUNK_BYTES)):
            output.write(chunk)
            done += len(chunk)
            progress(file, done)
