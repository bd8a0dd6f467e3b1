"""Families that are linear in theta: sums over the rows, then a small system each.

Cost, gradient and Gram matrix are weighted sums of products of pairs of columns. The
products are the same for all problems, so that the sums of a block of problems are one
matrix product; nothing of size problems x rows x parameters exists.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Float64, Int

from surrogate import weights as plans
from surrogate.families import Linear
from surrogate.newton import CONVERGED, NOT_FINITE, Minima
from surrogate.weights import Plan, Weights
from surrogate_kernels import gram_xla
from surrogate_kernels.solve_spd_xla import solve_spd

# Products that agree to this share of their size are one column.
_SAME = 1e-13
# Columns come in multiples of so many, the rest zero: a matrix product is faster so.
_LANES = 16


class Products(NamedTuple):
    """What counts multiply.

    Attributes:
        columns: distinct products of pairs among [features, target], of the places.
        where: the column of each pair, in the order of `gram_xla.pair_products`.
    """

    columns: Float[Array, "m q"]
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
    pairs = np.asarray(_pairs(family, jnp.asarray(z), jnp.asarray(target)))
    first, where = _distinct(pairs)
    distinct = np.pad(pairs[:, first], ((0, 0), (0, -len(first) % _LANES)))
    columns = _condensed(weights.plan, weights.shared, jnp.asarray(distinct))
    return Products(columns, jnp.asarray(where, jnp.int32))


def _distinct(columns: Float64[np.ndarray, "n q"]) -> tuple[np.ndarray, np.ndarray]:
    """Which columns differ, and for each column the one that stands for it."""
    scale = _SAME * np.abs(columns).max(axis=0)
    # Equal columns have equal projections, so that sorting these brings them together.
    along = np.random.default_rng(0).normal(size=len(columns)) @ columns
    first: list[int] = []
    where = np.zeros(columns.shape[1], np.int64)
    for i in np.argsort(along, kind="stable").tolist():
        last = first[-1] if first else i
        if not first or np.abs(columns[:, i] - columns[:, last]).max() > scale[last]:
            first.append(i)
        where[i] = len(first) - 1
    return np.array(first), where


@partial(jax.jit, static_argnums=0)
def _pairs(family: Linear, z: Array, target: Array) -> Array:
    return gram_xla.pair_products(family.features(z), target, jnp.ones_like(target))


_condensed = jax.jit(plans.condense, static_argnums=0)


@partial(jax.jit, static_argnums=(0, 1, 2))
def solve_blocks(
    family: Linear, plan: Plan, size: int, shared: Any, each: Array, count: Array
) -> Minima:
    """Normal equations of the first `count` problems, `size` at a time.

    Several blocks in one program share the memory of their counts, which costs more to
    get from the system than to fill.
    """
    common, found = shared
    problems = each.shape[0]
    none = jnp.zeros(problems, found.columns.dtype)
    whole = jnp.zeros(problems, jnp.int32)
    start = Minima(
        jnp.zeros((problems, family.size), none.dtype), none, none, whole, whole
    )

    def block(i: Array, all_found: Minima) -> Minima:
        mine = lax.dynamic_slice_in_dim(each, i * size, size)
        solved = _solve(family, plans.sums_of(plan, common, mine, found.columns), found)
        return jax.tree.map(
            lambda array, part: lax.dynamic_update_slice_in_dim(
                array, part, i * size, 0
            ),
            all_found,
            solved,
        )

    return lax.fori_loop(0, (count + size - 1) // size, block, start)


def _solve(family: Linear, sums: Float[Array, "problems q"], found: Products) -> Minima:
    """The solution of each problem; then convex, where it is not yet."""
    cost, gradient, gram = gram_xla.unpack(sums[:, found.where], family.size)
    centre, precision = (jnp.asarray(part, sums.dtype) for part in family.prior)
    gram = gram + jnp.diag(precision)[None]
    gradient = gradient - (precision * centre)[None]
    best = -solve_spd(gram, gradient)
    is_sound = jnp.isfinite(best).all(axis=1)
    theta = lax.cond(
        jnp.all(jax.vmap(family.is_convex)(best) | ~is_sound),
        lambda: best,
        lambda: jax.vmap(family.project)(best, gram),
    )
    off = theta - best
    bend = jnp.einsum("ri,rij,rj->r", off, gram, off, precision="highest")
    base = jnp.sum(precision * centre**2)
    return Minima(
        theta,
        cost + base + jnp.sum(gradient * best, axis=1) + bend,
        jnp.zeros_like(cost),
        jnp.where(is_sound, CONVERGED, NOT_FINITE).astype(jnp.int32),
        jnp.ones(cost.shape, jnp.int32),
    )
