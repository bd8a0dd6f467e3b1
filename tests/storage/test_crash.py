"""A save that is killed, interrupted or watched: a whole fit stands at every moment."""

from __future__ import annotations

import ctypes
import errno
import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from surrogate.base import files
from surrogate.base.errors import DataError
from surrogate.storage import archive, checkpoint, sealed, swap

EVENTS = Path(__file__).resolve().parents[2] / "bench" / "trust" / "crash_events.py"
# bench/ is no package: its programs find each other beside themselves.
events: Any = importlib.import_module("trust.crash_events")
HOLDER = swap._name(Path("fit"), "01234567")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Saved fits of numbers 1, 2 and 3."""
    path = tmp_path_factory.mktemp("prepared")
    for number in (events.OLD, events.NEW, events.NEXT):
        events.write(path / str(number), number)
    return path


@pytest.fixture
def folder(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The fit of number 1, in a process whose saves copy what orbax once wrote."""
    monkeypatch.setattr(checkpoint, "save", events.copied(prepared))
    shutil.copytree(prepared / "1", tmp_path / "fit")
    return tmp_path / "fit"


def halfway(folder: Path) -> Path:
    """What a save leaves that dies between the two steps of a swap."""
    holder = folder.with_name(HOLDER)
    holder.mkdir()
    (holder / "owner").write_bytes(swap._NOTE)
    shutil.copytree(folder, holder / "new")
    folder.rename(holder / "old")
    return holder


@pytest.mark.parametrize("how", events.HOWS)
@pytest.mark.parametrize("road", events.ROADS)
def test_a_save_that_stops_anywhere(
    tmp_path: Path, prepared: Path, road: str, how: str
) -> None:
    """Real processes, stopped at each fifth file event and round each swap."""
    goal = tmp_path / "goal" / "fit"
    goal.parent.mkdir()
    done = subprocess.run(
        [
            sys.executable,
            EVENTS,
            goal,
            prepared,
            road,
            how,
            "5",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    stops = [events.Stop(*stop) for stop in json.loads(done.stdout)]
    assert [stop for stop in stops if stop.fault] == []
    names = {stop.event for stop in stops}
    swaps = {"exchange": {"exchange"}, "two steps": {"rename"}}[road]
    assert names >= {f"{when} {s}" for when in ("before", "after") for s in swaps}
    assert {stop.found for stop in stops} == {events.OLD, events.NEW}
    assert len(stops) >= 20


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EINVAL, errno.EIO, None])
def test_what_the_system_says_of_an_exchange(
    folder: Path, monkeypatch: pytest.MonkeyPatch, code: int | None
) -> None:
    """It has no such call or says so: two steps. Else its error is told."""

    def call(*_: Any) -> int:
        ctypes.set_errno(code or 0)
        return -1

    monkeypatch.setattr(swap, "_renameat2", lambda: call if code else None)
    if code == errno.EIO:
        with pytest.raises(DataError, match=r"Cannot write to .*output error"):
            events.write(folder, 2)
        assert events.read(folder) == 1
    else:
        events.write(folder, 2)
        assert events.read(folder) == 2
    assert os.listdir(folder.parent) == ["fit"]


@pytest.mark.skipif(sys.platform != "linux", reason="the exchange is Linux's")
def test_linux_exchanges_two_folders(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name / name).mkdir(parents=True)
    assert swap.exchange(tmp_path / "a", tmp_path / "b")
    assert [os.listdir(tmp_path / name) for name in "ab"] == [["b"], ["a"]]
    with pytest.raises(FileNotFoundError):
        swap.exchange(tmp_path / "a", tmp_path / "c")


def test_a_fit_put_aside_by_a_dead_save_is_found(folder: Path) -> None:
    holder = halfway(folder)
    assert archive.locate(folder) == (folder, None)
    assert events.read(folder) == 1
    assert holder.exists()
    # It is there, so it is not overwritten unasked; asking has put it back.
    with pytest.raises(DataError, match="pass --overwrite"):
        archive.check_out(folder, overwrite=False)
    assert events.read(folder) == 1
    archive.check_out(folder, overwrite=True)
    assert os.listdir(folder.parent) == ["fit"]


def test_a_save_that_was_done_is_not_undone(folder: Path) -> None:
    """It died before it removed the old fit, and then somebody moved the new one."""
    holder = halfway(folder)
    (holder / "new").rename(folder)
    folder.rename(folder.with_name("moved"))
    with pytest.raises(DataError, match="There is nothing at"):
        archive.locate(folder)
    events.write(folder, 2)
    assert sorted(os.listdir(folder.parent)) == ["fit", "moved"]


@pytest.mark.parametrize(
    "name",
    [
        ".fit.saving",
        ".fit.x.saving",
        ".fit.0123456789abcdef.saving",
        HOLDER.replace("fit", "other"),
        HOLDER.upper(),
        HOLDER[1:],
        f"{HOLDER}.saving",
        "with more in it",
        "a link",
    ],
)
def test_what_merely_looks_like_litter_is_kept(folder: Path, name: str) -> None:
    kept = folder.parent / name
    if name == "a link":
        (folder.parent / "mine" / "new").mkdir(parents=True)
        kept = folder.with_name(HOLDER)
        kept.symlink_to(folder.parent / "mine")
    elif name == "with more in it":
        kept = folder.with_name(HOLDER)
        for part in ("new", "thesis"):
            (kept / part).mkdir(parents=True)
    else:
        (kept / "new").mkdir(parents=True)
    events.write(folder, 2)
    assert (kept / "new").is_dir()


@pytest.mark.parametrize("parts", [[], ["owner"], ["owner", "new"], ["new"]])
def test_litter_of_a_dead_save_is_cleared(folder: Path, parts: list[str]) -> None:
    """Threads of a save that failed may make `new` once more after all was removed."""
    folder.with_name(HOLDER).mkdir()
    for part in parts:
        if part == "owner":
            (folder.with_name(HOLDER) / part).write_bytes(b"")
        else:
            shutil.copytree(folder, folder.with_name(HOLDER) / part)
    events.write(folder, 2)
    assert os.listdir(folder.parent) == ["fit"]


def test_a_save_inside_another(folder: Path) -> None:
    """The folder of a living one is not cleared; who is last, stands."""
    with swap.workshop(folder) as new:
        events.write(folder, 2)
        assert new.is_dir()
        shutil.copytree(archive.locate(folder)[0], new, dirs_exist_ok=True)
        swap.put(new, folder, lambda _: None)
    assert events.read(folder) == 2
    assert os.listdir(folder.parent) == ["fit"]


def test_the_loser_of_two_new_fits_is_told(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both found the place free; the second to arrive finds a fit there."""
    save, goal = checkpoint.save, tmp_path / "new"

    def slow(place: Path, arrays: Any) -> None:
        monkeypatch.setattr(checkpoint, "save", save)
        events.write(goal, 3, overwrite=False)
        save(place, arrays)

    monkeypatch.setattr(checkpoint, "save", slow)
    with pytest.raises(DataError, match=r"new or empty, but .*new' is not"):
        events.write(goal, 2, overwrite=False)
    assert events.read(goal) == 3
    assert sorted(os.listdir(tmp_path)) == ["fit", "new"]


def test_who_holds_the_place_for_long_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swap, "_PATIENCE", 0.05)
    with swap._alone(folder.parent) as is_alone:
        assert is_alone
        with pytest.raises(DataError, match="another process is saving to the same"):
            events.write(folder, 2)
    events.write(folder, 2)


@pytest.mark.parametrize("has_locks", [False, None])
def test_a_system_without_locks_saves_and_clears_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, has_locks: bool | None
) -> None:
    if has_locks is None:
        monkeypatch.setattr(swap, "fcntl", None)
    else:

        def fail(descriptor: int) -> bool:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr(swap, "_lock", fail)
    folder.with_name(HOLDER).mkdir()
    events.write(folder, 2)
    assert events.read(folder) == 2
    assert sorted(os.listdir(folder.parent)) == [HOLDER, "fit"]


# ------------------------------------------------------------- on disk, and whole


def test_all_is_synced_before_the_old_fit_goes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[tuple[str, Path | str]] = []
    fsync, exchange, rmtree = os.fsync, swap.exchange, shutil.rmtree

    def note_sync(descriptor: int) -> None:
        log.append(("sync", os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def note_exchange(one: Path, other: Path) -> bool:
        log.append(("exchange", str(one)))
        return exchange(one, other)

    def note_rmtree(path: Path, **named: Any) -> None:
        log.append(("remove", path.name))
        rmtree(path, **named)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(swap, "exchange", note_exchange)
    monkeypatch.setattr(swap.shutil, "rmtree", note_rmtree)
    events.write(folder, 2)
    swapped = next(i for i, (what, _) in enumerate(log) if what == "exchange")
    removed = log.index(("remove", "new"))
    new = Path(log[swapped][1])
    whole = {new, *(new / path.relative_to(folder) for path in folder.rglob("*"))}
    assert len(whole) > 10
    assert {Path(path) for _, path in log[:swapped]} >= whole
    assert ("sync", str(folder.parent)) in log[swapped:removed]


def test_a_written_file_is_synced_with_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(
        os,
        "fsync",
        lambda fd: (log.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd))[1],
    )
    monkeypatch.setattr(os, "replace", lambda *a: (log.append("."), replace(*a))[1])
    files.write_whole(tmp_path / "page.html", b"text")
    assert (tmp_path / "page.html").read_bytes() == b"text"
    assert Path(log[0]).name.startswith(".page.html.")
    assert log[1:] == [".", str(tmp_path)]


def test_a_fit_swapped_while_it_is_read_is_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice somebody saves between its manifest and its arrays."""
    contents, left = sealed.contents, [2, 3]

    def late(place: Path, manifest: Any) -> Any:
        if left:
            with monkeypatch.context() as patch:
                patch.setattr(sealed, "contents", contents)
                events.write(folder, left.pop(0))
        return contents(place, manifest)

    monkeypatch.setattr(sealed, "contents", late)
    assert events.read(folder) == 3
    assert not left


def test_a_fit_swapped_out_while_it_is_checked_is_checked_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, left = sealed.check_alone, [2]

    def late(place: Path) -> None:
        if left:
            events.write(folder, left.pop())
            raise sealed.Flaw("file 'x' is missing")
        check(place)

    monkeypatch.setattr(sealed, "check_alone", late)
    archive.check_out(folder, overwrite=True)
    assert not left


def test_a_fit_swapped_each_time_it_is_read_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_PAUSE", 0)
    count = iter(range(10**6))
    monkeypatch.setattr(archive, "_standing", lambda f: (f, (next(count),)))
    (folder / "arrays" / "d").rename(folder / "arrays" / "e")
    with pytest.raises(DataError, match="was replaced each of the 50 times"):
        archive.read(folder)


def test_what_was_checked_is_what_is_read(
    folder: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arrays change on disk after they were checked."""
    restore = checkpoint.restore

    def late(content: Any) -> Any:
        shutil.rmtree(folder / "arrays")
        shutil.copytree(prepared / "2" / "arrays", folder / "arrays")
        return restore(content)

    monkeypatch.setattr(checkpoint, "restore", late)
    assert events.read(folder) == 1
