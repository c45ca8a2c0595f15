import re
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from seqgen.data import fetch
from seqgen.data.catalogue import Manifest, RemoteFile
from seqgen.data.fetch import fetch_corpus
from seqgen.errors import CorpusError

CONTENT = bytes(range(256)) * 1000


class Server(ThreadingHTTPServer):
    """Serves CONTENT on 127.0.0.1, in the ways that a test asks for."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.requests = []
        self.ranges = True
        self.stop_after = None
        self.status = None


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.requests.append(wanted)
        if server.status:
            self.send_error(server.status)
            return
        start = int(re.match(r"bytes=(\d+)-", wanted)[1]) if wanted and server.ranges else 0
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header(
                "Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}"
            )
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.stop_after])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with Server() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def manifest(server):
    url = f"http://127.0.0.1:{server.server_port}/data.bin"
    file = RemoteFile(name="data.bin", url=url, size=len(CONTENT), sha256=sha256(CONTENT).hexdigest())
    return Manifest(name="toy", title="", description="", licence="", files=(file,))


@pytest.fixture
def place(cache):
    return cache / "corpora" / "toy" / "data.bin"


@pytest.fixture
def part(place):
    return place.with_name("data.bin.part")


def test_a_corpus_is_fetched_whole_and_put_in_place(server, manifest, place, part):
    seen = []
    assert fetch_corpus(manifest, progress=lambda file, done: seen.append(done)) == [place]
    assert place.read_bytes() == CONTENT
    assert not part.exists()
    assert seen == sorted(seen)
    assert seen[-1] == len(CONTENT)


def test_what_is_here_is_not_fetched_again(server, manifest):
    fetch_corpus(manifest)
    fetch_corpus(manifest)
    assert server.requests == [None]


def test_a_file_that_was_changed_here_is_fetched_again(manifest, place):
    fetch_corpus(manifest)
    place.write_bytes(CONTENT[::-1])
    fetch_corpus(manifest)
    assert place.read_bytes() == CONTENT


def test_a_truncated_transfer_is_told_and_resumed(server, manifest, place, part):
    server.stop_after = 100_000
    with pytest.raises(CorpusError, match=r"100,000 of 256,000 bytes; run the same command again"):
        fetch_corpus(manifest)
    assert not place.exists()
    assert part.stat().st_size == 100_000
    server.stop_after = None
    fetch_corpus(manifest)
    assert place.read_bytes() == CONTENT
    assert server.requests == [None, "bytes=100000-"]


def test_a_server_without_ranges_sends_it_all_again(server, manifest, place, part):
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:1000])
    server.ranges = False
    fetch_corpus(manifest)
    assert place.read_bytes() == CONTENT


def test_a_wrong_checksum_is_told_and_nothing_is_kept(server, manifest, place, part):
    server.content = CONTENT[:-1] + b"!"
    with pytest.raises(CorpusError, match="not the expected file"):
        fetch_corpus(manifest)
    assert not place.exists()
    assert not part.exists()


def test_a_file_that_is_too_long_is_refused(server, manifest, place, part):
    server.content = CONTENT * 2
    with pytest.raises(CorpusError, match="not the expected file"):
        fetch_corpus(manifest)
    assert not place.exists()


def test_a_spoilt_beginning_does_not_survive_a_resumed_transfer(manifest, place, part):
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    with pytest.raises(CorpusError, match="not the expected file"):
        fetch_corpus(manifest)
    fetch_corpus(manifest)
    assert place.read_bytes() == CONTENT


@pytest.mark.parametrize("status", [404, 503])
def test_a_server_error_is_told(server, manifest, status):
    server.status = status
    with pytest.raises(CorpusError, match=f"the server answers {status}"):
        fetch_corpus(manifest)


def test_a_beginning_that_the_server_does_not_have_is_dropped(server, manifest, part):
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    server.status = 416
    with pytest.raises(CorpusError, match="416"):
        fetch_corpus(manifest)
    assert not part.exists()


def test_a_server_that_is_not_there_is_told(server, manifest):
    server.shutdown()
    server.server_close()
    with pytest.raises(CorpusError, match=r"refused.*; try again, what is here is kept"):
        fetch_corpus(manifest)


def test_only_web_addresses_are_fetched(tmp_path):
    file = RemoteFile(name="a", url=f"file://{tmp_path}/a", size=1, sha256="")
    manifest = Manifest(name="toy", title="", description="", licence="", files=(file,))
    with pytest.raises(CorpusError, match="only http and https"):
        fetch_corpus(manifest)


def test_an_embedded_corpus_needs_no_fetching():
    manifest = Manifest(name="toy", title="", description="", licence="", package="pydoc_data")
    with pytest.raises(CorpusError, match="nothing to fetch"):
        fetch_corpus(manifest)


def test_a_silent_server_is_given_up(server, manifest, monkeypatch):
    monkeypatch.setattr(fetch, "TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(Handler, "do_GET", lambda self: self.rfile.read(1))
    with pytest.raises(CorpusError, match="timed out"):
        fetch_corpus(manifest)
