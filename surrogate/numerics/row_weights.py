"""Weights of many fits over the same rows, made a block at a time on the device.

Problem b weighs row i by base_i counts[b, place_i]: a place is a row of its own, or the
cell of the row, so that problems that resample cells hold a number a cell and not one a
row.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from surrogate.base.namespaces import Numbers
from surrogate.base.shapes import Array, Float, Float64, Int

# A matrix product is fast where its columns come in multiples of so many.
_LANES = 16


class Plan(NamedTuple):
    """Where counts belong: what a compiled program depends on.

    Attributes:
        places: counts a problem.
        is_row: each row has a place of its own, in order.
    """

    places: int
    is_row: bool


class Shared(NamedTuple):
    """What all problems have in common."""

    base: Float[Numbers, " n"]
    place: Int[Numbers, " n"]


class Weights(NamedTuple):
    """Weights of `problems` fits; make one with a function of this file.

    Attributes:
        plan: where counts belong.
        shared: base weights and places.
        each: counts of each problem.
    """

    plan: Plan
    shared: Shared
    each: Float64[np.ndarray, "problems places"]

    def __len__(self) -> int:
        """Number of problems."""
        return len(self.each)


def given(weights: Float64[np.ndarray, "problems n"]) -> Weights:
    """Each weight as it is."""
    rows = weights.shape[1]
    shared = _shared(np.ones(rows), np.arange(rows))
    return Weights(Plan(places=rows, is_row=True), shared, weights)


def per_cell(
    base: Float64[np.ndarray, " n"],
    cell: Int[np.ndarray, " n"],
    counts: Float64[np.ndarray, "problems cells"],
) -> Weights:
    """Base weights times how often a row's cell is in the problem.

    Args:
        base: of the rows.
        cell: of the rows, an index into the counts.
        counts: how often each problem has each cell.

    Raises:
        ValueError: a cell is no index into the counts.
    """
    if cell.min() < 0 or cell.max() >= counts.shape[1]:
        raise ValueError(
            f"expected cells from 0 to {counts.shape[1] - 1}, got {cell.min()} to "
            f"{cell.max()}"
        )
    plan = Plan(places=counts.shape[1], is_row=False)
    return Weights(plan, _shared(base, cell), counts)


def _shared(base: np.ndarray, place: np.ndarray) -> Shared:
    return Shared(np.asarray(base, np.float64), np.asarray(place, np.int32))


def rows_of(
    plan: Plan, shared: Shared, each: Float[Numbers, "problems places"]
) -> Float[Numbers, "problems n"]:
    """Weights of one block."""
    return shared.base[None] * (each if plan.is_row else each[:, shared.place])


def columns_of(
    plan: Plan, shared: Shared, columns: Float[Array, "n q"]
) -> Float[Array, "places width"]:
    """Columns of the places: counts times these are weighted sums over the rows.

    Columns of zeros may follow.
    """
    weighted = shared.base[:, None] * columns
    if not plan.is_row:
        weighted = jax.ops.segment_sum(weighted, shared.place, plan.places)
    return jnp.pad(weighted, ((0, 0), (0, -weighted.shape[1] % _LANES)))
