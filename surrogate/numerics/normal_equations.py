"""Families that are linear in theta: sums over the rows, then a small system each.

Cost, gradient and Gram matrix are weighted sums of products of pairs of columns. The
products are the same for all problems, so that the sums of a block of problems are one
matrix product; nothing of size problems x rows x parameters exists.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from surrogate.base.shapes import Array, Float, Float64, Int
from surrogate.families import Linear
from surrogate.numerics import row_weights
from surrogate.numerics.newton import CONVERGED, NOT_FINITE, Minima
from surrogate.numerics.row_weights import Plan, Weights
from surrogate_kernels.solve_spd_xla import solve_systems

# Products that agree to this share of their size are one column.
_SAME = 1e-13
# Those whose projections differ by more of the largest are not.
_NEAR = 1e-10


class Products(NamedTuple):
    """What counts multiply.

    Attributes:
        columns: distinct products of pairs among [features, target], of the places.
        where: the column of each pair, in the order of `_pairs`.
    """

    columns: Float[Array, "places width"]
    where: Int[Array, " pairs"]


def products(
    family: Linear,
    z: Float64[np.ndarray, "n k"],
    target: Float64[np.ndarray, " n"],
    weights: Weights,
) -> Products:
    """Products of a family's columns; enter `jax.enable_x64(True)` before.

    Many pairs have the same product (x y times x is x x times y): of the quadratic's
    136 in four coordinates 86 differ.
    """
    pairs = _pairs(family, jnp.asarray(z), jnp.asarray(target))
    first, where = _distinct(np.asarray(pairs))
    columns = _columns(weights.plan, weights.shared, pairs, first)
    return Products(columns, jnp.asarray(where, jnp.int32))


def _distinct(columns: Float64[np.ndarray, "n q"]) -> tuple[np.ndarray, np.ndarray]:
    """Which columns differ, and for each column the one that stands for it."""
    # Equal columns have equal projections: only neighbours by these are compared.
    along = np.random.default_rng(0).normal(size=len(columns)) @ columns
    near = _NEAR * np.abs(along).max()
    first: list[int] = []
    where = np.zeros(columns.shape[1], np.int64)
    for i in np.argsort(along, kind="stable").tolist():
        is_new = not first or along[i] - along[first[-1]] > near
        if is_new or not _are_same(columns[:, i], columns[:, first[-1]]):
            first.append(i)
        where[i] = len(first) - 1
    return np.array(first), where


def _are_same(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.abs(one - other).max() <= _SAME * np.abs(one).max())


@partial(jax.jit, static_argnums=0)
def _pairs(family: Linear, z: Array, target: Array) -> Array:
    """Products of all pairs among [features, target] of the rows, packed."""
    both = jnp.concatenate([family.features(z), target[:, None]], axis=1)
    left, right = np.tril_indices(both.shape[1])
    return both[:, left] * both[:, right]


def _places(size: int) -> Int[np.ndarray, "side side"]:
    """Where `_pairs` holds each pair of `size` features and the target."""
    rows = np.arange(size + 1)
    low, high = np.minimum.outer(rows, rows), np.maximum.outer(rows, rows)
    return high * (high + 1) // 2 + low


@partial(jax.jit, static_argnums=0)
def _columns(
    plan: Plan, shared: row_weights.Shared, pairs: Array, first: Array
) -> Array:
    return row_weights.columns_of(plan, shared, pairs[:, first])


@partial(jax.jit, static_argnums=(0, 1))
def solve_blocks(
    family: Linear, size: int, found: Products, each: Array, count: Array
) -> Minima:
    """Normal equations of the first `count` problems, `size` at a time.

    Several blocks in one call: calls are few, and a block's arrays stay in a cache.
    """
    problems = each.shape[0]
    none = jnp.zeros(problems, jnp.float64)
    whole = jnp.zeros(problems, jnp.int32)
    start = Minima(
        jnp.zeros((problems, family.size), none.dtype), none, none, whole, whole
    )

    def block(i: Array, all_found: Minima) -> Minima:
        mine = lax.dynamic_slice_in_dim(each, i * size, size)
        sums = jnp.matmul(mine, found.columns, precision="highest")
        solved = _solve(family, sums, found)
        return jax.tree.map(
            lambda array, part: lax.dynamic_update_slice_in_dim(
                array, part, i * size, 0
            ),
            all_found,
            solved,
        )

    return lax.fori_loop(0, (count + size - 1) // size, block, start)


def _solve(family: Linear, sums: Float[Array, "problems q"], found: Products) -> Minima:
    """The solution of each problem; then convex, where it is not yet.

    Problems are the last axis meanwhile.
    """
    centre, precision = (jnp.asarray(part, sums.dtype) for part in family.prior)
    at = found.where[_places(family.size)]
    pairs = sums.T[at]
    gram = pairs[:-1, :-1] + jnp.diag(precision)[:, :, None]
    right = pairs[:-1, -1] + (precision * centre)[:, None]
    best = solve_systems(gram, right[:, None])[:, 0]
    least = (
        pairs[-1, -1] + jnp.sum(precision * centre**2) - jnp.sum(right * best, axis=0)
    )
    is_sound = jnp.isfinite(best).all(axis=0)

    def projected() -> tuple[Array, Array]:
        convex = family.project(best, gram)
        off = convex - best
        bend = jnp.einsum("ir,ijr,jr->r", off, gram, off, precision="highest")
        return convex.T, bend

    is_convex = jnp.all(jax.vmap(family.is_convex)(best.T) | ~is_sound)
    theta, bend = lax.cond(
        is_convex, lambda: (best.T, jnp.zeros_like(least)), projected
    )
    return Minima(
        theta,
        least + bend,
        jnp.zeros_like(least),
        jnp.where(is_sound, CONVERGED, NOT_FINITE).astype(jnp.int32),
        jnp.ones(least.shape, jnp.int32),
    )
