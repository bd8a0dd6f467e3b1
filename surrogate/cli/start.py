"""The command's entry: hears signals from its first line, then imports the rest."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def main() -> int:
    """Run the command of the process's own arguments; return its exit code."""
    for name in ("SIGINT", "SIGTERM"):
        if signal.getsignal(getattr(signal, name)) != signal.SIG_IGN:
            signal.signal(getattr(signal, name), _end)
    from surrogate.cli import main as command

    return command.main()


def _end(number: int, frame: FrameType | None) -> None:
    """End at once: nothing was begun."""
    sys.stderr.write("surrogate: error: interrupted before anything was begun.\n")
    sys.stderr.flush()
    os._exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
