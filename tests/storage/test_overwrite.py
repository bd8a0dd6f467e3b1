"""`--overwrite` replaces whole fits only; a place that cannot be written says so."""

from __future__ import annotations

import errno
import importlib
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orbax.checkpoint as ocp
import pytest
from support.cli import runs_csv

from surrogate.answers import from_runs
from surrogate.base.errors import DataError
from surrogate.cli.main import main
from surrogate.storage import archive, checkpoint, swap

# bench/ is no package: its programs find each other beside themselves.
folders: Any = importlib.import_module("trust.crash_folders")

ABOUT = {"number": 1}
ARRAYS = {"theta": np.arange(6.0), "draws": np.ones((40, 6))}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "fit"
    archive.write(path, ABOUT, ARRAYS, overwrite=False)
    return path


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "fit")
    return tmp_path / "fit"


@pytest.mark.parametrize("kind", folders.KINDS)
def test_what_is_no_fit_is_untouched(folder: Path, kind: str) -> None:
    message, make = folders.KINDS[kind]
    make(folder)
    before = folders.picture(folder.parent)
    for ask in (
        lambda: archive.check_out(folder, overwrite=True),
        lambda: archive.write(folder, ABOUT, ARRAYS, overwrite=True),
    ):
        with pytest.raises(DataError, match=re.escape(message)) as caught:
            ask()
        assert folders.picture(folder.parent) == before
        if kind != "a file":
            assert "Name another folder, or remove this one" in str(caught.value)


def test_the_command_exits_with_2(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runs.csv").write_text(runs_csv())
    folders.KINDS["a user's arrays beside schema and files"][1](folder)
    before = folders.picture(folder)
    asked = ["fit", str(tmp_path / "runs.csv"), "--out", str(folder), "--overwrite"]
    assert main(asked) == 2
    assert folders.picture(folder) == before
    assert "--overwrite replaces a whole fit" in capsys.readouterr().err


@pytest.mark.parametrize("has_exchange", [True, False])
def test_what_comes_while_a_fit_is_saved_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch, has_exchange: bool
) -> None:
    """Between the last check and the swap somebody writes a note."""
    exchange, notes = swap.exchange, ["notes.txt"]

    def late(one: Path, other: Path) -> bool:
        if notes:
            (folder / notes.pop()).write_text("mine")
        return has_exchange and exchange(one, other)

    monkeypatch.setattr(swap, "exchange", late)
    with pytest.raises(DataError, match=r"not that: it also holds 'notes.txt'"):
        archive.write(folder, {"number": 2}, ARRAYS, overwrite=True)
    assert (folder / "notes.txt").read_text() == "mine"
    assert archive.read(folder)[0]["number"] == 1
    assert os.listdir(folder.parent) == ["fit"]


# ------------------------------------------------------------- what cannot be written


def refuse(code: int) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize(
    "place", ["/proc/fit", "/proc/a/fit", "{}/file/fit", "{}/" + "n" * 250, "{}/a\0b"]
)
def test_a_place_that_cannot_be_written_is_told_at_once(
    tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").write_text("")
    for overwrite in (True, False):
        with pytest.raises(DataError, match=r"Cannot write to .*Name another --out\."):
            archive.check_out(place.format(tmp_path), overwrite=overwrite)
    assert os.listdir(tmp_path) == ["file"]


def test_before_the_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_runs, "fit", lambda *_, **__: pytest.fail("it was fitted"))
    (tmp_path / "runs.csv").write_text(runs_csv())
    assert main(["fit", str(tmp_path / "runs.csv"), "--out", "/proc/x"]) == 2


@pytest.mark.parametrize("name", ["fit", "a/b/fit"])
def test_trying_leaves_nothing(tmp_path: Path, name: str) -> None:
    archive.check_out(tmp_path / name, overwrite=False)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
        ValueError("RESOURCE_EXHAUSTED: Error writing \"a\"\n[locations='x.cc:1']"),
        ValueError("UNKNOWN: Failed: write [OS error 28: ENOSPC No space left on dev]"),
    ],
    ids=lambda error: str(error)[:12],
)
@pytest.mark.parametrize("name", ["fit", "a/new"])
def test_a_full_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, name: str
) -> None:
    def fail(place: Path, arrays: Any) -> None:
        place.mkdir()
        (place / "part").write_text("")
        raise error

    before = folders.picture(folder.parent)
    monkeypatch.setattr(checkpoint, "save", fail)
    with pytest.raises(DataError, match=r"no space left on its disk. Free some, or"):
        archive.write(folder.parent / name, ABOUT, ARRAYS, overwrite=True)
    assert folders.picture(folder.parent) == before


@pytest.mark.parametrize("call", ["mkdir", "fsync", "write", "rename"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_call_that_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    before = folders.picture(folder)
    with monkeypatch.context() as patch:
        patch.setattr(swap, "exchange", lambda one, other: False)
        patch.setattr(os, call, refuse(code))
        with pytest.raises(DataError, match="Cannot write to"):
            archive.write(folder, ABOUT, ARRAYS, overwrite=True)
    assert folders.picture(folder) == before
    archive.write(folder, ABOUT, ARRAYS, overwrite=True)
    assert os.listdir(folder.parent) == ["fit"]


def test_threads_are_waited_for_until_they_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt ends orbax's wait for its threads; they write on for a while."""
    ended = []

    def save(*_: Any) -> None:
        def write_on() -> None:
            time.sleep(0.1)
            ended.append(True)

        threading.Thread(target=write_on).start()
        raise KeyboardInterrupt

    monkeypatch.setattr(ocp.PyTreeCheckpointer, "save", save)
    with pytest.raises(KeyboardInterrupt):
        archive.write(folder, ABOUT, ARRAYS, overwrite=True)
    assert ended
    assert os.listdir(folder.parent) == ["fit"]


def test_what_orbax_says_is_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        checkpoint, "save", lambda *_: (_ for _ in ()).throw(RuntimeError("x\n" * 999))
    )
    with pytest.raises(DataError, match=r"'.*fit': RuntimeError: x x x") as caught:
        archive.write(folder, ABOUT, ARRAYS, overwrite=True)
    assert len(str(caught.value)) < 500 + len(str(folder))
    assert "\n" not in str(caught.value)


def test_threads_that_write_on_leave_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a failed save: what they make again is removed again."""
    rmtree, left = swap.shutil.rmtree, ["late", "later"]

    def remove(path: Path, **named: Any) -> None:
        rmtree(path, **named)
        if left and path.name == "new":
            path.mkdir()
            (path / left.pop()).write_text("")

    monkeypatch.setattr(swap.shutil, "rmtree", remove)
    monkeypatch.setattr(checkpoint, "save", refuse(errno.ENOSPC))
    with pytest.raises(DataError, match="no space left"):
        archive.write(folder, ABOUT, ARRAYS, overwrite=True)
    assert not left
    assert os.listdir(folder.parent) == ["fit"]


def test_arrays_by_orbax_are_those_by_tensorstore(folder: Path) -> None:
    """Independent code: orbax's own restore, to the bit; names with slashes too."""
    odd = ARRAYS | {"run_scale_a/b ü.c": np.arange(3), "flag": np.array([True])}
    archive.write(folder, ABOUT, odd, overwrite=True)
    found = archive.read(folder)[1]
    with ocp.PyTreeCheckpointer() as checkpointer:
        how = {name: ocp.RestoreArgs(restore_type=np.ndarray) for name in odd}
        expected = checkpointer.restore(folder / "arrays", restore_args=how)
    assert found.keys() == expected.keys() == odd.keys()
    for name in odd:
        assert found[name].tobytes() == expected[name].tobytes()
        assert found[name].dtype == expected[name].dtype


def test_a_size_is_an_optional_key(folder: Path) -> None:
    """Fits of before have none, and are fits."""
    document = json.loads((folder / "manifest.json").read_text())
    assert document["sizes"].keys() == document["files"].keys()
    del document["sizes"]
    document["sha256"] = archive.seal(document)
    (folder / "manifest.json").write_text(json.dumps(document))
    archive.read(folder)
    archive.write(folder, ABOUT, ARRAYS, overwrite=True)
