"""One line on a terminal that says what runs while there is nothing to read yet.

It stands on stderr, is drawn over each second, and goes before anything else is
written. Where stderr is no terminal there is none.
"""

from __future__ import annotations

import os
import sys
import threading


class _Line:
    """What is drawn now: its width, and whether the place is another's."""

    width = 0
    is_held = False


_lock = threading.Lock()


def draw(text: str) -> None:
    """Show this text in place of the last one, cut to the width of the terminal."""
    with _lock:
        stream = sys.stderr
        if _Line.is_held or not stream.isatty():
            return
        try:
            columns = os.get_terminal_size(stream.fileno()).columns
        except (OSError, ValueError):
            columns = 80
        # A terminal that was never told its size has none.
        line = text[: (columns or 80) - 1]
        stream.write("\r" + line.ljust(_Line.width))
        stream.flush()
        _Line.width = len(line)


def clear() -> None:
    """Remove the line, so that something else can be written."""
    with _lock:
        _clear()


def hold(is_held: bool) -> None:
    """Clear the line and draw none, until it is let go."""
    with _lock:
        _clear()
        _Line.is_held = is_held


def _clear() -> None:
    if _Line.width:
        sys.stderr.write("\r" + " " * _Line.width + "\r")
        sys.stderr.flush()
        _Line.width = 0
