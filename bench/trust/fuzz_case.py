"""A case of the fuzzer: what runs, and what of a refusal is a fault."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple


class Fault(Exception):
    """What must not be, of a case that raised nothing else."""


class Case(NamedTuple):
    """How a case runs, of how many at once; returns how many were refused."""

    run: Callable[[random.Random, int], int]
    width: int = 1


def told(error: Exception, limit: int = 4000) -> int:
    """1 for a refusal that can be read; a `Fault` for one that cannot."""
    said = str(error)
    if not said or len(said) > limit:
        raise Fault(f"a message of {len(said)} characters: {said[:80]!r}")
    if not all(c.isprintable() or c == "\n" for c in said):
        raise Fault(f"a message that is not printable: {said[:200]!r}")
    return 1
