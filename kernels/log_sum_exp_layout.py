"""Which sums over the rows make up the normal equations of a log-sum-exp.

Coefficient i multiplies coordinate c in the affine function of term t, so that an entry
of the Hessian is the sum over the rows of (a factor of two terms, which differs between
problems) times (a product of two columns, which does not): with shares s, residual r
and weight w, the factor is w (1 - r) s_t s_u, plus w r s_t where the terms are one. A
further linear column belongs to one more term, whose share is 1. The gradient is the
sum of (w r s_t) times (a column), the cost that of w r^2.

Entries with the same terms and columns are one sum: of the 231 for three full terms and
two scales (p = 20) 195 remain.
"""

from __future__ import annotations

import functools
import itertools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from surrogate_kernels import mosaic
from surrogate_kernels.pattern import Pattern

Pair = tuple[int, int]
# What stands for the first term in the sums of the gradient and of the cost.
GRADIENT, COST = -1, -2


class Sum(NamedTuple):
    """A sum over the rows of a factor times a product of two columns.

    Attributes:
        terms: two terms; or `GRADIENT` and a term; or `COST` twice.
        columns: two columns of [rows, linear]; column 0 is the constant 1.
    """

    terms: Pair
    columns: Pair


class Layout(NamedTuple):
    """What is added up where.

    Attributes:
        slices: all sums, in parts that are added up apart; the cost is the first.
        gradient: number of the sum of each entry.
        hessian: number of the sum of each entry.
        products: the products of columns in use, single columns among them.
    """

    slices: tuple[tuple[Sum, ...], ...]
    gradient: Int[np.ndarray, " p"]
    hessian: Int[np.ndarray, "p p"]
    products: tuple[Pair, ...]


def _ordered(a: int, b: int) -> Pair:
    return (min(a, b), max(a, b))


@functools.cache
def layout(pattern: Pattern, linear: int, held: int) -> Layout:
    """The sums of a pattern.

    Args:
        pattern: where the free coefficients stand.
        linear: number of further linear columns.
        held: how many sums and parameters one slice may hold.
    """
    last = pattern.coordinates + linear
    places = [
        *zip(pattern.term, pattern.coordinate, strict=True),
        *((pattern.terms, c) for c in range(pattern.coordinates, last)),
    ]
    hessian = [
        [Sum(_ordered(t, u), _ordered(c, d)) for u, d in places] for t, c in places
    ]
    gradient = [Sum((GRADIENT, t), (0, c)) for t, c in places]
    # In the order of the terms, so that a slice needs few of the factors.
    cost = Sum((COST, COST), (0, 0))
    sums = sorted({cost, *gradient, *itertools.chain.from_iterable(hessian)})
    number = {one: k for k, one in enumerate(sums)}
    count = -(-len(sums) // max(1, held - len(places)))
    cuts = [len(sums) * k // count for k in range(count + 1)]
    singles = {(0, c) for c in range(1, last)}
    return Layout(
        tuple(tuple(sums[a:b]) for a, b in itertools.pairwise(cuts)),
        np.array([number[one] for one in gradient]),
        np.array([[number[one] for one in row] for row in hessian]),
        tuple(sorted(singles | {one.columns for one in sums} - {(0, 0)})),
    )


def row_table(
    at: Layout, columns: Float[Array, "n columns"], target: Float[Array, " n"]
) -> Float[Array, "n width"]:
    """Target and products of columns, a row of them for each row."""
    products = [
        columns[:, b] if a == 0 else columns[:, a] * columns[:, b]
        for a, b in at.products
    ]
    table = jnp.stack([target, *products], axis=1)
    # A row of a copy is a multiple of 16 bytes.
    return mosaic.pad_axis(table, 1, mosaic.padded_size(table.shape[1], 4))
