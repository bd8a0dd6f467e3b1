"""Fetching from a local server that behaves badly in each way; nothing is trusted."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from surrogate.base.errors import DataError
from surrogate.cli.main import main
from surrogate.data import released
from surrogate.data.readers import read_runs
from surrogate.data.released import download, known

CONTENT = ("lr,batch,params,tokens,loss\n" + "1e-3,65536,2e8,4e9,2.9\n" * 2000).encode()
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT; how is said by the first part of the path.

    Attributes:
        asked: paths and ranges, in their order.
        breaks: how many answers more break off in the middle.
    """

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str]] = []
        self.breaks = 1

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}/runs.csv"


class Handler(BaseHTTPRequestHandler):
    @property
    def site(self) -> Server:
        assert isinstance(self.server, Server)
        return self.server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        how = self.path.split("/")[1]
        wanted = self.headers.get("Range", "")
        self.site.asked.append((how, wanted))
        if how in ("404", "500"):
            self.send_error(int(how))
            return
        if how == "redirect":
            self.send_response(302)
            self.send_header("Location", self.site.url("whole"))
            self.end_headers()
            return
        if how in ("away", "ftp"):
            self.send_response(302)
            scheme = "file:///etc/passwd" if how == "away" else "ftp://x/y"
            self.send_header("Location", scheme)
            self.end_headers()
            return
        if how == "loop":
            self.send_response(302)
            self.send_header("Location", self.path)
            self.end_headers()
            return
        begin = 0
        if wanted and how != "norange":
            begin = int(wanted.removeprefix("bytes=").rstrip("-"))
            if begin >= len(CONTENT):
                self.send_error(416)
                return
        body = CONTENT[begin:]
        self.send_response(206 if begin else 200)
        if begin:
            told = begin + 7 if how == "otherrange" else begin
            self.send_header("Content-Range", f"bytes {told}-{len(CONTENT) - 1}/*")
        if how == "huge":
            self.send_header("Content-Length", str(10**12))
        elif how != "nolength":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if how == "huge":
            return
        if how in ("truncated", "norange", "otherrange") and self.site.breaks > 0:
            self.site.breaks -= 1
            self.wfile.write(body[: len(body) // 3])
            return
        if how == "stalls":
            self.wfile.write(body[:1000])
            self.wfile.flush()
            time.sleep(1.5)
            return
        if how == "drips":
            for k in range(0, len(body), len(body) // 5):
                self.wfile.write(body[k : k + len(body) // 5])
                self.wfile.flush()
                time.sleep(0.05)
            return
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SURROGATE_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "cache"


def dump(server: Server, how: str, sha256: str = DIGEST) -> released.Dump:
    return replace(released.find("steplaw-dense"), url=server.url(how), sha256=sha256)


@pytest.mark.parametrize("how", ["whole", "redirect", "nolength", "drips"])
def test_a_file_is_fetched_whole_and_once(
    server: Server, cache: Path, how: str
) -> None:
    found = released.fetch(dump(server, how))
    assert found.path.read_bytes() == CONTENT
    assert (found.sha256, found.size, found.how) == (DIGEST, len(CONTENT), "pinned")
    assert found.is_new
    assert cache in found.path.parents
    assert sorted(p.name for p in found.path.parent.iterdir()) == [found.path.name]
    asked = len(server.asked)
    again = released.fetch(dump(server, how))
    assert not again.is_new
    assert len(server.asked) == asked
    assert len(read_runs(found.path)) == 2000


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("404", "404 Not Found. Fetch it by hand"),
        ("500", "500 Internal Server Error. Try again later"),
        ("away", "302 .*file:.* is not allowed. Fetch it by hand"),
        ("ftp", "expected a redirect that stays on http, got ftp:"),
        ("loop", "302|redirect"),
        ("huge", "at most 209,715,200 bytes, got 1,000,000,000,000"),
        ("stalls", "connection failed .*after 1,000 bytes. Try again"),
    ],
)
@pytest.mark.usefixtures("cache")
def test_a_bad_answer_is_told_with_where_to_put_the_file(
    server: Server, how: str, words: str
) -> None:
    wanted = dump(server, how)
    with pytest.raises(DataError, match=words) as caught:
        released.fetch(wanted, timeout=0.4)
    path = released.path_of(wanted)
    assert f"put {wanted.url} at '{path}'" in str(caught.value)
    assert not path.exists()
    # A file that is put there by hand is taken, if it is the right one.
    path.write_bytes(CONTENT)
    assert released.fetch(wanted).path == path
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match=r"expected .* with SHA-256 .*Remove it"):
        released.fetch(wanted)


@pytest.mark.parametrize(
    ("how", "ranges"),
    [
        ("truncated", ["", f"bytes={len(CONTENT) // 3}-"]),
        ("norange", ["", f"bytes={len(CONTENT) // 3}-"]),
        # Of another place than was asked for: begun anew.
        ("otherrange", ["", f"bytes={len(CONTENT) // 3}-", ""]),
    ],
)
@pytest.mark.usefixtures("cache")
def test_what_broke_off_goes_on(server: Server, how: str, ranges: list[str]) -> None:
    wanted = dump(server, how)
    with pytest.raises(DataError, match=r"expected the whole file.*goes on from there"):
        released.fetch(wanted)
    assert released.fetch(wanted).path.read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == ranges


@pytest.mark.usefixtures("cache")
def test_a_part_that_is_whole_or_too_long_is_begun_anew(server: Server) -> None:
    wanted = dump(server, "whole")
    path = released.path_of(wanted)
    path.parent.mkdir(parents=True)
    path.with_name(path.name + ".part").write_bytes(CONTENT + b"x")
    assert released.fetch(wanted).path.read_bytes() == CONTENT


@pytest.mark.usefixtures("cache")
def test_a_wrong_digest_is_not_kept(server: Server) -> None:
    wanted = dump(server, "whole", sha256="0" * 64)
    with pytest.raises(DataError, match=r"expected a file with SHA-256 0000.*not kept"):
        released.fetch(wanted)
    assert list(released.path_of(wanted).parent.iterdir()) == []


@pytest.mark.usefixtures("cache")
def test_a_digest_is_recorded_where_none_is_known(server: Server) -> None:
    wanted = dump(server, "whole", sha256="")
    assert released.fetch(wanted).how == "recorded"
    found = released.fetch(wanted)
    assert (found.how, found.is_new, found.sha256) == ("recorded", False, DIGEST)
    found.path.write_bytes(b"other")
    with pytest.raises(DataError, match="Remove it and fetch again"):
        released.fetch(wanted)


@pytest.mark.usefixtures("cache")
def test_without_a_network_it_says_what_to_put_where() -> None:
    wanted = replace(released.find("steplaw-dense"), url="http://127.0.0.1:9/runs.csv")
    with pytest.raises(DataError, match=r"connection failed.*put http.* at '.*cache"):
        released.fetch(wanted)
    by_hand = released.find("marin-optimizers")
    with pytest.raises(DataError, match=r"many files put together.*Put your copy at"):
        released.fetch(by_hand)
    path = released.path_of(by_hand)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert released.fetch(by_hand).how == "placed"


def test_the_command(
    server: Server,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dumped = dump(server, "whole")
    monkeypatch.setattr(known, "DUMPS", (dumped,))
    monkeypatch.setattr(released, "DUMPS", (dumped,))
    assert main(["data", "list"]) == 0
    assert "none stated" in capsys.readouterr().out
    assert main(["data", "fetch", "steplaw-dense", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["dumps"]
    assert (found["sha256"], found["fetched"], found["digest"]) == (
        DIGEST,
        True,
        "pinned",
    )
    assert main(["data", "fetch", "steplaw-dense"]) == 0
    out = capsys.readouterr().out
    assert "already here" in out
    assert f"Next: surrogate check {found['path']}" in out
    assert main(["check", found["path"]]) in (0, 1)
    capsys.readouterr()
    for words, said in (
        (["data", "fetch"], "expected a name out of steplaw-dense"),
        (["data", "fetch", "steplaw-dens"], "Did you mean steplaw-dense?"),
        (["data", "get"], "expected one of list, fetch"),
        (["data", "list", "x"], "surrogate data fetch x"),
    ):
        assert main(words) == 2
        assert said in capsys.readouterr().err


def test_digests_are_those_of_the_released_files(data_dir: Path) -> None:
    for one in released.DUMPS:
        path = data_dir / "steplaw" / one.file
        assert one.url.startswith("https://") or not one.url
        if one.sha256:
            content = path.read_bytes()
            assert hashlib.sha256(content).hexdigest() == one.sha256
            assert len(content) == one.size
            assert len(read_runs(path)) == one.runs


def test_a_fetch_has_a_limit() -> None:
    assert download.MOST_BYTES == 200 * 2**20
