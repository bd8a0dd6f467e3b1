"""A progress bar on stderr, drawn only where stderr is a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from surrogate.cli import output

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Bar:
    """One bar at a time: `start` names it, `advance` moves it, `stop` clears it.

    A second `start` replaces the first bar, so that a job may have several stages.
    """

    # The one that is drawn now: lines for people go above it.
    shown: ClassVar[Bar | None] = None

    def __init__(self) -> None:
        """Makes a bar that draws nothing yet."""
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def start(self, task: str, total: int) -> None:
        """Begins a stage of `total` steps."""
        from rich.console import Console
        from rich.progress import Progress

        if self._progress is None:
            console = Console(stderr=True)
            self._progress = Progress(
                console=console, transient=True, disable=not console.is_terminal
            )
            self._progress.start()
            if console.is_terminal:
                Bar.shown = self
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(task, total=total)

    def advance(self, n: int = 1) -> None:
        """Moves the bar by `n` steps."""
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task, n)

    def write(self, line: str) -> None:
        """Writes a line above the bar."""
        if self._progress is not None:
            self._progress.console.print(line, markup=False, highlight=False)

    def stop(self) -> None:
        """Clears the bar; it may be started again."""
        if self._progress is not None:
            self._progress.stop()
        self._progress = None
        self._task = None
        Bar.shown = None


def say(text: str) -> None:
    """Writes one line to stderr, above the bar if one is drawn."""
    _tell("note", text)


def warn(text: str) -> None:
    """Writes one line of warning to stderr, above the bar if one is drawn."""
    _tell("warning", text)


def _tell(kind: str, text: str) -> None:
    bar = Bar.shown
    if bar is not None:
        bar.write(f"surrogate: {kind}: {output.plain(text)}")
    else:
        output.note(kind, text)


def clear() -> None:
    """Clears the bar, if one is drawn, and gives the terminal its cursor back."""
    if Bar.shown is not None:
        Bar.shown.stop()
