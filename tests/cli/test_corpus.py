from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from seqgen.cli.app import run
from seqgen.data import catalogue

CONTENT = b"to be or not to be\n" * 100


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "cache"))


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A catalogue of one corpus, served on 127.0.0.1."""
    served, folder = tmp_path / "served", tmp_path / "corpora"
    served.mkdir()
    folder.mkdir()
    (served / "toy.txt").write_bytes(CONTENT)
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: Quiet(*args, directory=str(served)))
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    (folder / "toy.yaml").write_text(
        f"""
name: toy
title: A toy
description: A toy to fetch.
licence: CC0
files:
  - name: toy.txt
    url: http://127.0.0.1:{server.server_port}/toy.txt
    size: {len(CONTENT)}
    sha256: {sha256(CONTENT).hexdigest()}
"""
    )
    monkeypatch.setattr(catalogue, "catalogue_folder", lambda: folder)
    yield served / "toy.txt"
    server.shutdown()
    server.server_close()


def test_the_list_is_a_result_on_stdout(capsys):
    assert run(["corpus", "list"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert [line.split()[0] for line in out.splitlines()] == [
        "chorales", "fiddle", "folksong", "pydoc", "python", "tinyshakespeare", "wikitext2",
    ]  # fmt: skip


def test_a_corpus_is_shown_with_its_terms(capsys):
    assert run(["corpus", "show", "folksong"]) == 0
    out = capsys.readouterr().out
    assert "Terms, as music21 states them" in out
    assert "non-commercial" in out


def test_a_remote_corpus_is_shown_with_its_checksum(capsys):
    assert run(["corpus", "show", "tinyshakespeare"]) == 0
    out = capsys.readouterr().out
    assert "sha256 86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed" in out
    assert "state    fetch 1.1 MB" in out


def test_a_corpus_is_fetched_and_then_used_by_name(toy, tmp_path, capsys):
    assert run(["vocab", "toy", "-o", str(tmp_path / "v.json")]) == 1
    assert "run `seqgen corpus fetch toy`" in capsys.readouterr().err
    assert run(["corpus", "fetch", "toy"]) == 0
    out, err = capsys.readouterr()
    assert out.strip() == str(tmp_path / "cache" / "corpora" / "toy" / "toy.txt")
    assert "licence: CC0" in err
    assert run(["vocab", "toy", "-o", str(tmp_path / "v.json")]) == 0
    assert run(["corpus", "list"]) == 0
    assert "fetched" in capsys.readouterr().out


def test_a_file_that_is_not_the_expected_one_is_one_line(toy, capsys):
    toy.write_bytes(CONTENT[::-1])
    assert run(["corpus", "fetch", "toy"]) == 1
    assert "not the expected file" in capsys.readouterr().err.splitlines()[-1]


def test_an_unknown_name_lists_the_known_ones(capsys):
    assert run(["corpus", "show", "nonsense"]) == 1
    assert "no corpus of that name; known: chorales, fiddle" in capsys.readouterr().err


def test_an_embedded_corpus_needs_no_fetching(capsys):
    assert run(["corpus", "fetch", "pydoc"]) == 1
    assert "there is nothing to fetch" in capsys.readouterr().err
