"""A test file that is run as a program finds what tests share."""

from __future__ import annotations

import os
from pathlib import Path

_TESTS = str(Path(__file__).resolve().parents[1])


def environment(**variables: str) -> dict[str, str]:
    """This process's, with `tests/` where Python looks for modules."""
    path = os.pathsep.join(filter(None, (_TESTS, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, **variables}
