import subprocess
import sys
from hashlib import sha256

import pytest

from seqgen.data import catalogue
from seqgen.data.catalogue import (
    find_manifest,
    list_manifests,
    load_manifest,
    manifest_files,
    manifest_terms,
    package_folder,
)
from seqgen.data.sources import find_sources
from seqgen.errors import ConfigError, CorpusError
from tests.data.real import real


def test_the_catalogue_holds_the_embedded_and_the_remote_corpora():
    states = {manifest.name: manifest.embedded for manifest in list_manifests()}
    assert states == {
        "chorales": True, "fiddle": True, "folksong": True, "pydoc": True, "python": True,
        "tinyshakespeare": False, "wikitext2": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "least", "suffix"),
    [("fiddle", 1098, ".abc"), ("folksong", 27, ".abc"), ("pydoc", 1, ".py"), ("python", 500, ".py")],
)
def test_embedded_corpora_are_found_in_their_packages(name, least, suffix):
    files = [path for path, _ in manifest_files(find_manifest(name))]
    assert len(files) >= least
    assert {path.suffix for path in files} == {suffix}
    assert files == [path for path, _ in manifest_files(find_manifest(name))]


def test_chorales_are_four_hundred_scores():
    assert len(find_sources(["chorales"]).sources) > 400
    assert {source.kind for source in find_sources(["chorales"]).sources} == {"score"}


def test_installed_packages_and_tests_are_not_the_standard_library():
    folder = package_folder("stdlib")
    for path, _ in manifest_files(find_manifest("python")):
        assert not {"site-packages", "test", "tests"} & set(path.relative_to(folder).parts)


def test_finding_a_corpus_does_not_import_its_package():
    code = """
import sys
from seqgen.data.sources import find_sources
assert find_sources(["fiddle"]).sources
assert "music21" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_terms_of_the_folk_songs_are_those_of_their_keepers():
    terms = manifest_terms(find_manifest("folksong"))
    assert "non-commercial" in terms
    assert "#" not in terms
    assert manifest_terms(find_manifest("fiddle")) is None


@pytest.mark.parametrize("name", ["tinyshakespeare", "wikitext2"])
def test_a_corpus_that_was_not_fetched_says_how_to(name):
    with pytest.raises(CorpusError, match=f"run `seqgen corpus fetch {name}`"):
        find_sources([name])


def test_fetched_files_keep_their_parts(cache):
    folder = cache / "corpora" / "wikitext2"
    folder.mkdir(parents=True)
    for part in ("train", "valid", "test"):
        (folder / f"wiki.{part}.tokens").symlink_to(real(f"wikitext2/wiki.{part}.tokens"))
    found = find_sources(["wikitext2"]).sources
    assert [source.part for source in found] == ["train", "valid", "test"]


@pytest.mark.parametrize(
    ("name", "file"),
    [("tinyshakespeare", "tinyshakespeare/input.txt"), ("wikitext2", "wikitext2/wiki.train.tokens")],
)
def test_manifests_describe_the_very_files(name, file):
    entry = find_manifest(name).files[0]
    content = real(file).read_bytes()
    assert (entry.size, entry.sha256) == (len(content), sha256(content).hexdigest())


def test_a_path_never_names_a_corpus():
    assert find_manifest("./fiddle") is None
    assert find_manifest("nonsense") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("licence: X\n", r"missing .*'title'"),
        ("titel: X\n", "unknown key titel; did you mean title"),
        ("name: [", "not valid YAML"),
        ("files: [{name: a, link: b}]", "unknown key link"),
        ("name: a\ntitle: b\ndescription: c\nlicence: d\n", "either a package or files"),
    ],
)
def test_a_wrong_manifest_is_an_error_that_names_it(tmp_path, change, message):
    (tmp_path / "wrong.yaml").write_text(change)
    with pytest.raises(ConfigError, match=message) as caught:
        load_manifest(tmp_path / "wrong.yaml")
    assert "wrong.yaml" in str(caught.value)


def test_a_package_without_its_corpus_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "package_folder", lambda name: tmp_path)
    with pytest.raises(CorpusError, match="this music21 comes without it"):
        find_sources(["fiddle"])


def test_a_package_that_is_not_installed_is_an_error():
    with pytest.raises(CorpusError, match="pip install no_such_package"):
        package_folder("no_such_package")
