"""A benchmark run as the command is: signals end it, silences are explained."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

from surrogate.cli import output, supervise


def run(main: Callable[[], int | None]) -> NoReturn:
    """Run `main` under its file's name and end the process with its exit code."""

    def say(text: str) -> None:
        output.note("note", text)

    sys.exit(supervise.run(main, sys.argv[0], say=say))
