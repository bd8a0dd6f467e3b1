"""Progress on stderr, drawn only where stderr is a terminal.

A stage has a bar for as long as the bar moves at least once a second; what takes longer
a step has a count, and seconds that pass.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from surrogate.base import interrupts
from surrogate.cli import output, screen

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from surrogate.cli.reading import Reading
    from surrogate.data import Runs

# How long a bar may stand [s].
STILL = 1.0


class Pace:
    """Whether a bar that is told of each step still deserves the name."""

    def __init__(self) -> None:
        """Begin a stage, which has no bar until its first step."""
        self._last: float | None = None
        self._is_bar = True

    def step(self) -> None:
        """Some of the stage is done."""
        self.moves()
        self._last = time.monotonic()

    def moves(self) -> bool:
        """Whether there is a bar; one that stood too long is none again."""
        if self._last is None:
            return False
        self._is_bar &= time.monotonic() - self._last <= STILL
        return self._is_bar


class Bar:
    """One stage at a time: `start` names it, `advance` moves it, `stop` clears it.

    A second `start` replaces the first stage, so that a job may have several.
    """

    # The one that is drawn now: lines for people go above it.
    shown: ClassVar[Bar | None] = None

    def __init__(self) -> None:
        """Make a bar that draws nothing yet."""
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._pace = Pace()

    def start(self, task: str, total: int) -> None:
        """Begin a stage of `total` steps."""
        if self._progress is None:
            self._progress = self._drawn()
        self._pace = Pace()
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(task, total=total)

    def _drawn(self) -> Progress:
        """What draws, begun where stderr is a terminal."""
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            ProgressColumn,
            SpinnerColumn,
            Task,
            TextColumn,
            TimeElapsedColumn,
        )
        from rich.text import Text

        bar = self

        class Moving(ProgressColumn):
            """The bar while it moves."""

            def __init__(self) -> None:
                super().__init__()
                self._drawn = BarColumn(bar_width=30)

            def render(self, task: Task) -> object:  # type: ignore[override]
                moves = bar._pace.moves()
                return self._drawn.render(task) if moves else Text("")

        console = Console(stderr=True)
        columns = SpinnerColumn(), TextColumn("{task.description}"), Moving()
        found = Progress(
            *columns,
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        if console.is_terminal:
            screen.hold(True)
            Bar.shown = self
        found.start()
        return found

    def advance(self, n: int = 1) -> None:
        """Move the bar by `n` steps."""
        if self._progress is not None and self._task is not None:
            self._pace.step()
            self._progress.advance(self._task, n)

    def write(self, line: str) -> None:
        """Write a line above the bar."""
        if self._progress is not None:
            self._progress.console.print(line, markup=False, highlight=False)

    def stop(self) -> None:
        """Clear the bar; it may be started again."""
        if self._progress is not None:
            self._progress.stop()
        self._progress = None
        self._task = None
        if Bar.shown is self:
            Bar.shown = None
            screen.hold(False)


def reading(files: Sequence[Path]) -> None:
    """Say that files are being read."""
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    interrupts.begin(f"reading {output.plain(files[0].name)}{more}")


def read(files: Sequence[Path], how: Reading) -> Runs:
    """Read runs, with a bar for a large file."""
    from surrogate.data.readers import read_runs

    reading(files)
    with shown() as bar:
        return read_runs(files, **how, progress=bar)


@contextmanager
def shown() -> Iterator[Bar]:
    """A bar that is cleared at the end."""
    bar = Bar()
    try:
        yield bar
    finally:
        bar.stop()


def say(text: str) -> None:
    """Write one line to stderr, above the bar if one is drawn."""
    _tell("note", text)


def warn(text: str) -> None:
    """Write one line of warning to stderr, above the bar if one is drawn."""
    _tell("warning", text)


def _tell(kind: str, text: str) -> None:
    bar = Bar.shown
    if bar is not None:
        bar.write(f"surrogate: {kind}: {output.plain(text)}")
    else:
        output.note(kind, text)


def clear() -> None:
    """Clear the bar, if one is drawn, and give the terminal its cursor back."""
    if Bar.shown is not None:
        Bar.shown.stop()
