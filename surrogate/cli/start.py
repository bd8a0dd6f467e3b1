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
    for name in ("SIGINT", "SIGTERM"):
        if signal.getsignal(getattr(signal, name)) != signal.SIG_IGN:
            signal.signal(getattr(signal, name), _end)
    # An answer is small, and fits have a thread a core of their own: those of BLAS cost
    # more than they do, above all on a busy machine.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from surrogate.cli import main as command

    code = command.main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _end(number: int, frame: FrameType | None) -> None:
    """End at once: nothing was begun."""
    sys.stderr.write("surrogate: error: interrupted before anything was begun.\n")
    sys.stderr.flush()
    os._exit(128 + number)


if __name__ == "__main__":
    main()
