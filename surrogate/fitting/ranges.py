"""Draws solved in ranges of replicas, with what a range must not be mistaken for."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from typing import NamedTuple

import numpy as np

from surrogate.base.shapes import Float64
from surrogate.data.coordinates import Rows
from surrogate.families import Family
from surrogate.fitting import irls
from surrogate.fitting.shards import Part, Shards, digest
from surrogate.numerics import least_squares
from surrogate.numerics.least_squares import Progress, Solution
from surrogate_kernels.dispatch import Backend

# What a fit's last digits depend on besides its numbers.
_PACKAGES = ("loss-surrogate", "jax", "jaxlib", "numpy", "scipy")
_ARRAYS = ("theta", "cost", "decrement", "status", "iterations")
# Ranges of a call, a core: the last of a call are then not long alone.
_EACH = 2


class Asked(NamedTuple):
    """Draws of a family: all that they depend on but a replica's number.

    Attributes:
        family: what was fitted.
        rows: to these runs.
        weights: of the full fit.
        theta: the full fit.
        seed: of the resampling.
        replicas: how many draws.
        backend: of the kernels.
    """

    family: Family
    rows: Rows
    weights: Float64[np.ndarray, " n"]
    theta: Float64[np.ndarray, " p"]
    seed: int
    replicas: int
    backend: Backend

    def identity(self, step: int) -> str:
        """A digest; `replicas` is no part of it, so that more may be asked for."""
        made = [f"{name} {metadata.version(name)}" for name in _PACKAGES]
        numbers = [*self.rows, self.weights, self.theta]
        where = platform.machine(), step, self.seed, self.backend
        return digest([self.family, *numbers, *where, *made])


def solve(
    shards: Shards,
    asked: Asked,
    starts: int,
    refit: Callable[[int, int], Solution],
    progress: Progress | None,
) -> Solution:
    """All draws, those that are kept read and the others solved; fewer after a signal.

    Args:
        shards: where ranges are kept.
        asked: the draws.
        starts: fits a draw.
        refit: draws from a number to before another.
        progress: told of fits that were read.

    Raises:
        KeyboardInterrupt: a signal came before the first draw.
    """
    wide = irls.Wide.of(asked.family, asked.rows, np.ones((1, _cells(asked))))
    places = _cells(asked) * (1 if wide.family is asked.family else 2)
    step = least_squares.aligned(wide.family, wide.rows.z, places, asked.backend)

    def part(first: int, last: int) -> Part:
        try:
            return _packed(refit(first, last), is_whole=True)
        except least_squares.Interrupted as stopped:
            return _packed(stopped.finished, is_whole=False)

    def tell(count: int) -> None:
        if progress is not None:
            progress.advance(count * starts)

    width = max(1, _EACH * (os.cpu_count() or 1) // starts)
    parts = replace(shards, width=width).solve(
        asked.family.name, asked.identity(step), asked.replicas, step, part, tell
    )
    joined = [np.concatenate([p.arrays[name] for p in parts]) for name in _ARRAYS]
    return Solution(
        *joined,
        block=min(part.about["block"] for part in parts),
        is_halved=any(part.about["is_halved"] for part in parts),
        backend=parts[0].about["backend"],
    )


def _cells(asked: Asked) -> int:
    return len(asked.rows.cell_s)


def _packed(found: Solution, *, is_whole: bool) -> Part:
    arrays = {name: np.asarray(getattr(found, name)) for name in _ARRAYS}
    about = {
        "block": found.block,
        "is_halved": found.is_halved,
        "backend": found.backend,
    }
    return Part(arrays, about, is_whole)
