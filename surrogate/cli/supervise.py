"""Run work beside a watcher, which hears signals and says what it waits for.

The work has a thread of its own, since a call into compiled code answers no signal:
the main thread only watches. Signals set a mark (`interrupts`); work with nothing to
keep ends within two seconds, other work when it has saved that. A second signal ends
the process at once.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

from surrogate.base import interrupts
from surrogate.cli import screen

# How long a terminal shows nothing of work that goes on [s].
PROMPT = 0.2
# How long work may take to stop by itself where nothing is lost if it does not [s].
GRACE = 1.5
# How long without news until the watcher says what it waits for, and how often [s].
QUIET = 30.0
_SAVING = 10.0
_LOOK = 0.1
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


def run(
    work: Callable[[], int | None],
    task: str,
    *,
    say: Callable[[str], None],
    give_up: Callable[[], object] = lambda: None,
    show: Callable[[str], None] = lambda text: None,
) -> int:
    """Return the work's exit code.

    After a signal the process ends here, with 1 where the work's result is whole all
    the same and 128 + signal where it is not, since calls may still be under way that
    an interpreter would wait for.

    Args:
        work: what is done; it ends by KeyboardInterrupt where it was told to stop.
        task: its name, for people.
        say: writes one line for people.
        give_up: called before the process ends without the work.
        show: draws a line that says what runs, again and again.
    """
    if threading.current_thread() is not threading.main_thread():
        return work() or 0
    interrupts.reset(task)
    done = _Done()
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    heard = [n for n in numbers if signal.getsignal(n) != signal.SIG_IGN]
    hear = partial(_hear, os.getpid())
    before: dict[int, Any] = {n: signal.signal(n, hear) for n in heard}
    try:
        body = partial(done.by, work)
        threading.Thread(target=body, name="work", daemon=True).start()
        _watch(done.ended, say, give_up, show)
        asked, error = interrupts.now().signal, done.error
        if asked is not None and (
            error is None or isinstance(error, KeyboardInterrupt)
        ):
            _leave(max(done.code, 1) if error is None else code_of(asked))
    finally:
        screen.clear()
        for number, handler in before.items():
            signal.signal(number, handler)
    if done.error is not None:
        raise done.error
    return done.code


class _Done:
    """How the work ended."""

    def __init__(self) -> None:
        """Begin as work that is not done."""
        self.ended = threading.Event()
        self.code = 0
        self.error: BaseException | None = None

    def by(self, work: Callable[[], int | None]) -> None:
        """Do the work; keep its exit code or its error."""
        try:
            self.code = work() or 0
        except BaseException as raised:
            self.error = raised
        finally:
            self.ended.set()


def code_of(number: int | None) -> int:
    """Exit code of a process that a signal ended with nothing kept."""
    return 128 + (signal.SIGINT if number is None else number)


def _hear(process: int, number: int, frame: FrameType | None) -> None:
    # A forked child has the handler and no watcher.
    if interrupts.now().signal is not None or os.getpid() != process:
        os._exit(code_of(number))
    interrupts.ask(number)


def _watch(
    ended: threading.Event,
    say: Callable[[str], None],
    give_up: Callable[[], object],
    show: Callable[[str], None],
) -> None:
    """Wait for the work; end the process where it does not stop by itself."""
    told_at, said_at = None, time.monotonic()
    begun = said_at
    while not ended.wait(_LOOK):
        state, at = interrupts.now(), time.monotonic()
        if state.signal is not None:
            if told_at is None:
                told_at = said_at = at
                say(_acknowledgement(state))
            elif at - told_at > GRACE and interrupts.end():
                give_up()
                _leave(code_of(state.signal))
            elif at - said_at > _SAVING:
                said_at = at
                say(f"Still saving ({state.task}): a call or a compilation runs out.")
            continue
        if at - begun > PROMPT:
            show(f"surrogate: {state.task}, {at - begun:.0f} s")
        if at - max(state.since, said_at) > QUIET:
            said_at = at
            say(
                f"Waiting for {state.task}: nothing has finished for "
                f"{at - state.since:.0f} s. It computes or compiles; Ctrl-C stops it."
            )


def _acknowledgement(state: interrupts.State) -> str:
    number = state.signal or signal.SIGINT
    name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
    does = "Saving what is finished" if state.keeps or state.writing else "Stopping"
    return f"{name} during {state.task}. {does}; a second signal ends at once."


def _leave(code: int) -> None:
    screen.clear()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
