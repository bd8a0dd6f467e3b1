"""The command's entry: hears signals from its first line, then imports the rest."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn


def main() -> NoReturn:
    """Run the command of the process's own arguments, and end with its exit code.

    Python's own way out takes the handlers of signals down first, and the default of
    one that comes then would be told as the end of an answer that is already whole.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end)
    _check_streams()
    # An answer is small, and fits have a thread a core of their own: those of BLAS cost
    # more than they do, above all on a busy machine.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from surrogate.cli import main as command

    code = command.main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _check_streams() -> None:
    """End where there is nowhere to write an answer to; a lost stderr is no loss."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")
    if sys.stdout is None:
        sys.stderr.write("surrogate: error: standard output is closed. Open it.\n")
        sys.stderr.flush()
        os._exit(2)


def _end(number: int, frame: FrameType | None) -> None:
    """End at once: nothing was begun."""
    sys.stderr.write("surrogate: error: interrupted before anything was begun.\n")
    sys.stderr.flush()
    os._exit(128 + number)


if __name__ == "__main__":
    main()
