"""Draws in ranges of replicas, each kept by itself: to go on after a stop, or to share.

A replica depends on its number alone, so that a range is the same whoever solves it,
and whenever. Ranges are cut where the solver cuts its blocks anyhow: what they give is
then, bit for bit, what one call would give. Each is a sealed folder (`storage`),
`FOLDER/TASK-IDENTITY/FIRST-LAST`, and there whole or not at all.

Several processes share a folder: each solves the ranges of its own number, then those
that nobody finishes. Two that solve the same one write the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from surrogate.base import interrupts
from surrogate.base.errors import DataError
from surrogate.storage import archive

# Seconds between two looks for ranges of other processes.
_PAUSE = 0.1
# A range that nobody finishes in so many times what the slowest took is taken over.
_TIMES = 3.0
# What a process leaves that reads no more.
_LEFT = "left-"
_TASK = re.compile(r"[a-z0-9-]+-[0-9a-f]{16}")
_RANGE = re.compile(r"\d{9}-\d{9}")


class Part(NamedTuple):
    """What solving a range of replicas gave.

    Attributes:
        arrays: with a leading axis of replicas, by name.
        about: what else is to be known of it, as JSON.
        is_whole: False where a signal came before its last replica.
    """

    arrays: dict[str, np.ndarray]
    about: dict[str, Any]
    is_whole: bool = True


Ends = tuple[int, int]
Solve = Callable[[int, int], Part]
"""Replicas from the first number to before the second."""


@dataclass(frozen=True)
class Shards:
    """Where ranges are kept, and which of them are whose.

    Attributes:
        folder: of the ranges; made when one is kept.
        process: number of this one.
        processes: that share the folder.
        least: seconds that a range must have taken to be kept.
        patience: seconds without a new range until others' are taken over, at least.
        width: consecutive ranges that are solved in one call, to keep all cores busy.
    """

    folder: Path
    process: int = 0
    processes: int = 1
    least: float = 0.0
    patience: float = 10.0
    width: int = 1

    def solve(
        self,
        task: str,
        identity: str,
        replicas: int,
        step: int,
        solve: Solve,
        tell: Callable[[int], None] = lambda count: None,
    ) -> list[Part]:
        """All ranges in order; after a signal those before the first that is missing.

        Args:
            task: what is solved, in a few letters.
            identity: a digest of all that its result depends on but the number.
            replicas: how many.
            step: replicas a range.
            solve: solves one.
            tell: told how many replicas were found solved.

        Raises:
            DataError: a range cannot be kept that others wait for.
            KeyboardInterrupt: a signal came before the first range.
        """
        home = self.folder / f"{task}-{identity[:16]}"
        ranges = [(a, min(a + step, replicas)) for a in range(0, replicas, step)]
        found: dict[int, Part] = {}
        try:
            self._collect(home, ranges, found, solve, tell)
        except KeyboardInterrupt:
            if 0 not in found:
                raise
        whole: list[Part] = []
        for number in range(len(ranges)):
            if number not in found:
                break
            whole.append(found[number])
            if not found[number].is_whole:
                break
        return whole

    def _collect(
        self,
        home: Path,
        ranges: Sequence[Ends],
        found: dict[int, Part],
        solve: Solve,
        tell: Callable[[int], None],
    ) -> None:
        """Read, solve, or wait for every range."""
        count = len(ranges)
        cuts = [count * k // self.processes for k in range(self.processes + 1)]
        own = range(cuts[self.process], cuts[self.process + 1])
        slowest, news = 0.0, time.monotonic()
        while len(found) < count:
            interrupts.check()
            for number in sorted({*range(count)} - found.keys()):
                part = _read(home, ranges[number])
                if part is not None:
                    found[number], news = part, time.monotonic()
                    tell(ranges[number][1] - ranges[number][0])
            left = [n for n in range(count) if n not in found]
            if not left:
                return
            mine = [n for n in left if n in own]
            is_early = time.monotonic() - news < max(self.patience, _TIMES * slowest)
            if not mine and is_early:
                time.sleep(_PAUSE)
                continue
            # Taken over from behind, where their own process comes last.
            some = _run(mine, self.width) or _run(left[::-1], self.width)
            began = time.monotonic()
            for number, part in self._solve_run(some, ranges, solve):
                found[number] = part
                if not part.is_whole:
                    return
                self._keep(home, ranges[number], part, time.monotonic() - began)
            news = time.monotonic()
            slowest = max(slowest, news - began)

    def _solve_run(
        self, numbers: list[int], ranges: Sequence[Ends], solve: Solve
    ) -> Iterator[tuple[int, Part]]:
        """Consecutive ranges in one call; the last may be no whole one."""
        first, last = ranges[numbers[0]][0], ranges[numbers[-1]][1]
        part = solve(first, last)
        end = first + len(next(iter(part.arrays.values())))
        for number in numbers:
            low, high = ranges[number]
            cut = slice(low - first, high - first)
            own = {name: array[cut] for name, array in part.arrays.items()}
            is_whole = high <= end
            if low < end:
                yield number, Part(own, part.about, is_whole)
            if not is_whole:
                return

    def _keep(self, home: Path, ends: Ends, part: Part, seconds: float) -> None:
        if seconds < self.least:
            return
        place = _place(home, ends)
        try:
            with interrupts.writing():
                archive.write(
                    place, {"about": part.about}, part.arrays, overwrite=False
                )
        except DataError:
            # Another process was there before; or nobody waits for it, and that there
            # is no room will be told when the fit is saved.
            if self.processes > 1 and _read(home, ends) is None:
                raise

    def leave(self) -> None:
        """Say that this process reads no more ranges."""
        with contextlib.suppress(OSError):  # the first one waited long enough
            (self.folder / f"{_LEFT}{self.process}").touch()

    def wait(self) -> None:
        """Until all others have left, or for as long as patience lasts."""
        last = time.monotonic() + self.patience
        others = [f"{_LEFT}{k}" for k in range(self.processes) if k != self.process]
        while time.monotonic() < last:
            if all((self.folder / name).exists() for name in others):
                return
            interrupts.check()
            time.sleep(_PAUSE)

    def kept(self) -> int:
        """How many ranges are kept, of whatever."""
        return sum(1 for _ in self._ranges())

    def clear(self) -> None:
        """Remove all ranges, and the folder where it holds nothing else."""
        for place in [*self._ranges()]:
            shutil.rmtree(place, ignore_errors=True)
        for left in self.folder.glob(f"{_LEFT}[0-9]*"):
            left.unlink(missing_ok=True)
        for folder in [*self._tasks(), self.folder]:
            with contextlib.suppress(OSError):  # it is not there, or holds other things
                folder.rmdir()

    def _tasks(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return [p for p in self.folder.iterdir() if _TASK.fullmatch(p.name)]

    def _ranges(self) -> list[Path]:
        return [
            place
            for task in self._tasks()
            for place in task.iterdir()
            if _RANGE.fullmatch(place.name)
        ]


def _run(numbers: list[int], width: int) -> list[int]:
    """Of the first so many those that are neighbours, ascending."""
    step = 1 if len(numbers) < 2 or numbers[1] > numbers[0] else -1
    some = [n for k, n in enumerate(numbers[:width]) if n == numbers[0] + k * step]
    return sorted(some)


def digest(parts: Sequence[Any]) -> str:
    """Of numbers, text and arrays, by value, type and shape."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            found.update(f"{part.dtype} {part.shape}".encode())
            found.update(np.ascontiguousarray(part).tobytes())
        else:
            found.update(repr(part).encode())
        found.update(b"\0")
    return found.hexdigest()


def _place(home: Path, ends: Ends) -> Path:
    return home / f"{ends[0]:09}-{ends[1]:09}"


def _read(home: Path, ends: Ends) -> Part | None:
    """A range that is kept; None where it is not, or not as it was written."""
    place = _place(home, ends)
    if not place.is_dir():
        return None
    try:
        manifest, arrays = archive.read(place)
    except DataError:
        shutil.rmtree(place, ignore_errors=True)
        return None
    lengths = {len(array) for array in arrays.values()}
    is_whole = lengths == {ends[1] - ends[0]}
    return Part(arrays, manifest["about"]) if is_whole else None
