"""Weights of many fits over the same rows, made a block at a time on the device.

Problem b weighs row i by base_i counts[b, place_i]. The counts are given, one for each
problem and place, or Poisson(1) draws from the counter (seed, b, place): then nothing
of size problems x rows ever exists, and a draw depends on neither the number of
problems nor blocks nor devices.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Float64, Int, Shaped

from surrogate_kernels import digits
from surrogate_kernels.poisson import (
    fours,
    poisson_counts,
    poisson_counts_in_fours,
    seed_words,
)

# Places of which counts are drawn at a time: with a block of problems, what a cache
# holds, however many rows there are.
_CHUNK = 2048


class Plan(NamedTuple):
    """How counts come about: what a compiled program depends on.

    Attributes:
        is_drawn: Poisson(1) from a counter; else given.
        places: counts a problem.
        is_row: each row has a place of its own, in order.
    """

    is_drawn: bool
    places: int
    is_row: bool


class Shared(NamedTuple):
    """What all problems have in common."""

    base: Float[Array, " n"]
    place: Int[Array, " n"]
    seed: Shaped[Array, " 2"]


class Weights(NamedTuple):
    """Weights of `problems` fits; make one with a function of this file.

    Attributes:
        plan: how counts come about.
        shared: base weights, places and seed.
        each: what differs: counts, or the problem's number where they are drawn.
    """

    plan: Plan
    shared: Shared
    each: Float64[np.ndarray, "problems places"] | Int[np.ndarray, " problems"]

    def __len__(self) -> int:
        """Number of problems."""
        return len(self.each)


def given(weights: Float64[np.ndarray, "problems n"]) -> Weights:
    """Each weight as it is."""
    rows = weights.shape[1]
    return Weights(
        Plan(is_drawn=False, places=rows, is_row=True), _shared(np.ones(rows)), weights
    )


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
    plan = Plan(is_drawn=False, places=counts.shape[1], is_row=False)
    return Weights(plan, _shared(base, cell), counts)


def poisson(
    base: Float64[np.ndarray, " n"],
    problems: int,
    *,
    seed: int,
    cell: Int[np.ndarray, " n"] | None = None,
    first: int = 0,
) -> Weights:
    """Base weights times Poisson(1) counts, drawn on the device.

    Args:
        base: of the rows.
        problems: how many.
        seed: 0 to 2^64 - 1.
        cell: of the rows; a count is a cell's. None: each row has its own.
        first: number of the first problem, so that a range can be computed apart.
    """
    places = len(base) if cell is None else int(cell.max()) + 1
    plan = Plan(is_drawn=True, places=places, is_row=cell is None)
    numbers = np.arange(first, first + problems, dtype=np.int32)
    return Weights(plan, _shared(base, cell, seed), numbers)


def _shared(base: np.ndarray, cell: np.ndarray | None = None, seed: int = 0) -> Shared:
    place = np.arange(len(base)) if cell is None else cell
    with jax.enable_x64(True):
        return Shared(
            jnp.asarray(base, jnp.float64),
            jnp.asarray(place, jnp.int32),
            seed_words(seed),
        )


def counts_of(plan: Plan, shared: Shared, each: Array) -> Float[Array, "problems m"]:
    """Counts of one block, on the device."""
    if not plan.is_drawn:
        return each
    dtype = shared.base.dtype

    def one(number: Array) -> Array:
        return poisson_counts(shared.seed, number, plan.places, dtype)

    return jax.vmap(one)(each)


def rows_of(plan: Plan, shared: Shared, each: Array) -> Float[Array, "problems n"]:
    """Weights of one block, on the device."""
    counts = counts_of(plan, shared, each)
    return shared.base[None] * (counts if plan.is_row else counts[:, shared.place])


def chunk_of(plan: Plan) -> int:
    """Places of which counts are made at a time: a share of the drawn ones."""
    if not plan.is_drawn:
        return plan.places
    chunks = -(-plan.places // _CHUNK)
    return 4 * -(-plan.places // (4 * chunks))


class Condensed(NamedTuple):
    """What `sums_of` multiplies counts with.

    Attributes:
        columns: of the places, in the order of its counts; floats, or digits.
        worth: of the lowest digits; None where columns are floats.
    """

    columns: Shaped[Array, "chunks m q"]
    worth: Float[Array, " q"] | None


def condense(
    plan: Plan, is_exact: bool, shared: Shared, columns: Float[Array, "n q"]
) -> Condensed:
    """Columns that `sums_of` takes: of the places, in the order of its counts.

    Args:
        plan: of the weights.
        is_exact: by digits, for drawn counts: where the machine multiplies bytes fast.
        shared: of the weights.
        columns: of the rows, in float64 for digits.
    """
    weighted = shared.base[:, None] * columns
    if not plan.is_row:
        weighted = jax.ops.segment_sum(weighted, shared.place, plan.places)
    if plan.is_drawn:
        chunk = chunk_of(plan)
        chunks = -(-plan.places // chunk)
        padded = jnp.pad(weighted, ((0, chunks * chunk - plan.places), (0, 0)))
        ready = padded.reshape(chunks, chunk, -1)[:, fours(chunk)]
        if is_exact:
            return Condensed(*digits.split(ready))
    else:
        ready = weighted[None]
    rest = -ready.shape[2] % digits.LANES
    return Condensed(jnp.pad(ready, ((0, 0), (0, 0), (0, rest))), None)


def sums_of(
    plan: Plan, shared: Shared, each: Array, condensed: Condensed
) -> Float[Array, "problems q"]:
    """Weighted sums of the columns over the rows: one matrix product a chunk.

    Columns of zeros may follow.
    """
    columns, worth = condensed
    chunks, rows, _ = columns.shape

    def part(i: Any) -> Array:
        counts = each
        if plan.is_drawn:
            counts = poisson_counts_in_fours(
                shared.seed, each, rows, columns.dtype, first=i * rows
            )
        if worth is None:
            return jnp.matmul(counts, columns[i], precision="highest")
        return digits.sums(counts, columns[i], worth)

    if chunks == 1:
        return part(0)
    whole = jax.eval_shape(part, 0)
    none = jnp.zeros(whole.shape, whole.dtype)
    return lax.fori_loop(0, chunks, lambda i, sums: sums + part(i), none)
