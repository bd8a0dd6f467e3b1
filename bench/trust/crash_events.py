"""Stop a save before and after each of its file events, and see what is left.

Each stop is in a process of its own, forked: orbax is imported once. Nothing that
starts threads runs in the process that forks.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorstore  # noqa: F401 - once, not in every child

from surrogate.storage import archive, checkpoint, swap

ROADS = ("exchange", "two steps")
HOWS = ("kill -9", "Ctrl-C")
OLD, NEW, NEXT = 1, 2, 3
_EVENTS = ("fsync", "mkdir", "rename", "replace", "rmdir", "unlink", "write")
_WRITES = os.O_WRONLY | os.O_RDWR
# Exit codes of the children.
_ALL_RAN, _INTERRUPTED, _FAILED = 0, 130, 3


class Stop(NamedTuple):
    """What a stopped save left: `event` is None where it ran to its end."""

    event: str | None
    found: int | None
    fault: str | None


def write(folder: Path, number: int, *, overwrite: bool = True) -> None:
    """Save a small payload in which everything says its number."""
    arrays = {
        "theta": np.full(7, float(number)),
        "draws": np.full((40, 7), float(number)),
        "text": np.frombuffer(json.dumps([number]).encode(), np.uint8),
    }
    archive.write(folder, {"number": number}, arrays, overwrite=overwrite)


def read(folder: Path) -> int:
    """The number of a payload.

    Raises:
        surrogate.base.errors.DataError: as `store.read`.
        AssertionError: it is of two.
    """
    manifest, arrays = archive.read(archive.locate(folder)[0])
    number = manifest["number"]
    assert json.loads(arrays["text"].tobytes()) == [number], "mixed"
    assert all((arrays[name] == number).all() for name in ("theta", "draws")), "mixed"
    return number


def take_road(road: str) -> None:
    """Make this process swap folders as a system without an exchange does."""
    if road == "two steps":
        swap.exchange = lambda one, other: False


def copied(prepared: Path) -> Callable[[Path, Any], None]:
    """A save of arrays that copies those of prepared fits: milliseconds, no orbax."""

    def save(folder: Path, arrays: Any) -> None:
        number = int(arrays["theta"][0])
        shutil.copytree(prepared / str(number) / archive.ARRAYS, folder)

    return save


def stop(folder: Path, number: int, how: str) -> Stop:
    """Save NEW over a folder, stop at event `number`, read, then save once more."""
    report = folder.parent.with_name("event")
    report.unlink(missing_ok=True)
    code = in_child(lambda: _stopped_save(folder, number, how, report))
    event = report.read_text() if report.exists() else None
    expected = {"kill -9": -signal.SIGKILL, "Ctrl-C": _INTERRUPTED}[how]
    if code != (expected if event else _ALL_RAN):
        return Stop(event, None, f"the save ended with {code}")
    seen = folder.parent.with_name("seen")
    seen.unlink(missing_ok=True)
    if in_child(lambda: _look(folder, seen)) != 0:
        return Stop(event, None, "no fit, a mixed one, or the next save failed")
    litter = sorted(set(os.listdir(folder.parent)) - {folder.name})
    fault = f"litter after the next save: {litter}" if litter else None
    return Stop(event, int(seen.read_text()), fault)


def in_child(run: Callable[[], int | None]) -> int:
    """Run in a forked process; its exit code, or minus the signal that ended it."""
    child = start(run)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def start(run: Callable[[], int | None]) -> int:
    """Start in a forked process; its id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = _FAILED
    try:
        code = run() or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _stopped_save(folder: Path, number: int, how: str, report: Path) -> int:
    with _watched(number, how, report) as seen:
        try:
            write(folder, NEW)
        except KeyboardInterrupt:
            return _INTERRUPTED
    if number == 0:
        report.write_text("\n".join([*seen, "end"]))
    return _ALL_RAN


def _look(folder: Path, seen: Path) -> int:
    seen.write_text(str(read(folder)))
    write(folder, NEXT)
    assert read(folder) == NEXT
    return 0


@contextlib.contextmanager
def _watched(goal: int, how: str, report: Path) -> Iterator[list[str]]:
    """Name file events, two each, and stop this process at one of them; 0 is none."""
    seen: list[str] = []
    main = threading.main_thread()
    write_whole, open_file = os.write, os.open

    def tick(name: str) -> None:
        # Python gives an interrupt to the main thread alone.
        if how == "Ctrl-C" and threading.current_thread() is not main:
            return
        seen.append(name)
        if len(seen) != goal:
            return
        descriptor = open_file(report, os.O_CREAT | os.O_WRONLY)
        write_whole(descriptor, name.encode())
        os.close(descriptor)
        if how == "Ctrl-C":
            raise KeyboardInterrupt
        os.kill(os.getpid(), signal.SIGKILL)

    def wrap(module: Any, name: str, counts: Callable[..., bool]) -> None:
        call = getattr(module, name)

        def wrapped(*given: Any, **named: Any) -> Any:
            if not counts(*given, **named):
                return call(*given, **named)
            tick(f"before {name}")
            result = call(*given, **named)
            tick(f"after {name}")
            return result

        undo.callback(setattr, module, name, call)
        setattr(module, name, wrapped)

    def always(*_: Any, **__: Any) -> bool:
        return True

    def opens_to_write(path: Any, flags: int, *_: Any, **__: Any) -> bool:
        return bool(flags & _WRITES)

    def has_write_mode(file: Any, mode: str = "r", *_: Any, **__: Any) -> bool:
        return any(letter in mode for letter in "wax+")

    with contextlib.ExitStack() as undo:
        for name in _EVENTS:
            wrap(os, name, always)
        wrap(os, "open", opens_to_write)
        wrap(io, "open", has_write_mode)
        wrap(swap, "exchange", always)
        yield seen


def every_stop(folder: Path, road: str, how: str, step: int = 1) -> list[Stop]:
    """Stop a save at every so many events, at each swap, and let one run to its end."""
    take_road(road)
    names = folder.parent.with_name("names")
    in_child(lambda: write(folder, OLD))
    in_child(lambda: _stopped_save(folder, 0, how, names))
    events = names.read_text().split("\n")
    stops = []
    for number, name in enumerate(events, start=1):
        if number % step == 0 or name.endswith(("rename", "exchange", "end")):
            in_child(lambda: write(folder, OLD))
            stops.append(stop(folder, number, how))
    return stops


def main() -> None:
    """Stop a save of copied arrays at events; one JSON list of stops on stdout."""
    folder, prepared = (Path(text) for text in sys.argv[1:3])
    checkpoint.save = copied(prepared)
    # A process that is killed loses nothing of what it wrote, synced or not.
    os.fsync = lambda descriptor: None
    road, how, step = sys.argv[3:]
    print(json.dumps(every_stop(folder, road, how, int(step))))


if __name__ == "__main__":
    main()
