"""What a process does now, and whether it was asked to stop: for whoever watches it.

A signal only sets a mark here. Work asks for it where it can stop (`check`), a file
that is being written is finished first (`writing`), and what waits can say what for
(`begin`, `finished`). Nothing here installs a handler: `cli/supervise.py` does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.RLock()


class State:
    """Of the process, which runs one command at a time.

    Attributes:
        task: what runs.
        since: when something was last finished, on the monotonic clock [s].
        keeps: something is finished that a stop would save.
        writing: files that are being written now.
        signal: that asked to stop; None while none did.
        is_told: the work has been told by a KeyboardInterrupt.
        is_over: the process is about to end; nothing more is written.
    """

    def __init__(self, task: str = "") -> None:
        """Begin with nothing asked and nothing kept."""
        self.task, self.since = task, time.monotonic()
        self.keeps, self.writing = False, 0
        self.signal: int | None = None
        self.is_told = self.is_over = False


_state = State()


def now() -> State:
    """The state as it is; changed by the functions of this file only."""
    return _state


def reset(task: str) -> None:
    """Begin a command."""
    global _state
    _state = State(task)


def begin(task: str) -> None:
    """Say what runs from now on."""
    _state.task, _state.since = task, time.monotonic()


def finished() -> None:
    """Say that some of the task is done."""
    _state.since = time.monotonic()


def keep(is_worth: bool) -> None:
    """Say whether a stop from now on would save something."""
    with _lock:
        _state.keeps = is_worth


def ask(signal: int) -> None:
    """Ask the work to stop; called by a signal's handler."""
    _state.signal = signal


def check() -> None:
    """Stop here if that was asked, once: what follows is the saving.

    Raises:
        KeyboardInterrupt: a signal came.
    """
    with _lock:
        if _state.is_over or (_state.signal is not None and not _state.is_told):
            _state.is_told = True
            raise KeyboardInterrupt


@contextmanager
def writing() -> Iterator[None]:
    """Hold the process until a file is whole.

    Raises:
        KeyboardInterrupt: a signal came before, and the work does not know yet.
    """
    with _lock:
        if not _state.keeps:
            check()
        _state.writing += 1
    try:
        yield
    finally:
        with _lock:
            _state.writing -= 1


def end() -> bool:
    """Whether the process may end now and lose nothing; if so nothing is written."""
    with _lock:
        _state.is_over = not (_state.writing or _state.keeps)
        return _state.is_over
