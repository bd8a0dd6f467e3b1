"""`log_sum_exp_normal_equations` for a batch, as few large matrix products.

A coefficient multiplies coordinate c in the affine function of term t, so an entry of
the Hessian is a sum over the rows of (a weight that depends on two terms) times (a
product of two coordinates). The second factor is the same for every problem: all sums
are ONE product [problems x pairs of terms, rows] @ [rows, pairs of coordinates], and
the Jacobian is never formed.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from surrogate_kernels.pattern import Pattern
from surrogate_kernels.ref import NormalEquations


class Columns(NamedTuple):
    """What coefficients multiply.

    Attributes:
        pattern: where the coefficients stand.
        rows: [1, coordinates] a row.
        linear: further columns that enter linearly.
    """

    pattern: Pattern
    rows: Float[Array, "n d"]
    linear: Float[Array, "n q"]


class _Places(NamedTuple):
    """Where each entry of gradient and Hessian stands among the sums."""

    first: np.ndarray
    second: np.ndarray
    """The two coordinates of each column of products."""
    terms: np.ndarray
    """[m, m]: row of the pair of terms among all pairs, upper triangle."""
    columns: np.ndarray
    """[m, m]: column of the pair of coordinates."""


@cache
def _places(pattern: Pattern) -> _Places:
    term, coordinate = np.array(pattern.term), np.array(pattern.coordinate)

    def rank(size: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        low, high = np.minimum(a, b), np.maximum(a, b)
        return low * size - low * (low - 1) // 2 + high - low

    first, second = np.triu_indices(pattern.coordinates)
    return _Places(
        first,
        second,
        rank(pattern.terms, term[:, None], term[None, :]),
        rank(pattern.coordinates, coordinate[:, None], coordinate[None, :]),
    )


def affine(
    coefficients: Float[Array, "problems m"], pattern: Pattern, rows: Array
) -> list[Array]:
    """Each term's affine function, [problems, rows]: arithmetic that fuses with exp."""
    found: list[Array | None] = [None] * pattern.terms
    for i, (t, c) in enumerate(zip(pattern.term, pattern.coordinate, strict=True)):
        part = coefficients[:, i, None] * rows[None, :, c]
        held = found[t]
        found[t] = part if held is None else held + part
    zero = jnp.zeros((coefficients.shape[0], rows.shape[0]), rows.dtype)
    return [zero if part is None else part for part in found]


def _product(left: Array, right: Array) -> Array:
    """[problems, k, rows] @ [rows, columns] as one matrix product."""
    problems, k, count = left.shape
    flat = jnp.matmul(left.reshape(problems * k, count), right, precision="highest")
    return flat.reshape(problems, k, right.shape[1])


def log_sum_exp_normal_equations(
    coefficients: Float[Array, "problems m"],
    offsets: Float[Array, "problems q"],
    pattern: Pattern,
    rows: Float[Array, "n d"],
    linear: Float[Array, "n q"],
    target: Float[Array, " n"],
    weights: Float[Array, "problems n"],
) -> NormalEquations:
    """`ref.log_sum_exp_normal_equations` of many problems over the same rows."""
    exponents = affine(coefficients, pattern, rows)
    top = exponents[0]
    for other in exponents[1:]:
        top = jnp.maximum(top, other)
    parts = [jnp.exp(exponent - top) for exponent in exponents]
    total = sum(parts[1:], parts[0])
    share = jnp.stack(parts, axis=1) / total[:, None]
    residual = top + jnp.log(total) - target[None]
    if linear.shape[1]:
        residual = residual + jnp.matmul(offsets, linear.T, precision="highest")
    pull = weights * residual
    bent = share * (weights - pull)[:, None]
    pairs = [share[:, i, None] * bent[:, i:] for i in range(pattern.terms)]
    pairs = [p.at[:, 0].add(pull * share[:, i]) for i, p in enumerate(pairs)]
    columns, whole = Columns(pattern, rows, linear), jnp.concatenate(pairs, axis=1)
    return gather(columns, whole, share, weights, pull, residual)


def gather(
    columns: Columns,
    pairs: Float[Array, "problems pairs n"],
    first: Float[Array, "problems t n"],
    weights: Float[Array, "problems n"],
    pull: Float[Array, "problems n"],
    residual: Float[Array, "problems n"],
) -> NormalEquations:
    """Sums over the rows of any function of affine functions, in their coefficients.

    Args:
        columns: what the coefficients multiply.
        pairs: for two terms t <= t', w h_t h_t' + w r h_tt', h_t and h_tt' the
            function's derivatives in its affine functions.
        first: h_t.
        weights: w of the squared residuals.
        pull: w r.
        residual: r.
    """
    pattern, rows, linear = columns
    at = _places(pattern)
    products = rows[:, at.first] * rows[:, at.second]
    outer = _product(pairs, products)
    moment = _product(first * pull[:, None], rows)
    hessian = outer[:, at.terms, at.columns]
    gradient = moment[:, np.array(pattern.term), np.array(pattern.coordinate)]
    if linear.shape[1]:
        crossed = _crossed(columns, linear, first, weights)
        hessian = _bordered(hessian, crossed, linear, weights)
        of_linear = jnp.matmul(pull, linear, precision="highest")
        gradient = jnp.concatenate([gradient, of_linear], axis=1)
    return NormalEquations(jnp.sum(pull * residual, axis=1), gradient, hessian)


def _bordered(hessian: Array, cross: Array, linear: Array, weights: Array) -> Array:
    """The Hessian with the further linear columns behind."""
    problems, q = weights.shape[0], linear.shape[1]
    squares = (linear[:, :, None] * linear[:, None, :]).reshape(linear.shape[0], -1)
    square = jnp.matmul(weights, squares, precision="highest")
    below = jnp.concatenate(
        [jnp.swapaxes(cross, 1, 2), square.reshape(problems, q, q)], axis=2
    )
    above = jnp.concatenate([hessian, cross], axis=2)
    return jnp.concatenate([above, below], axis=1)


def cross(
    columns: Columns,
    member: Float[Array, "n k"],
    first: Float[Array, "problems t n"],
    weights: Float[Array, "problems n"],
) -> Float[Array, "problems mq k"]:
    """The Hessian's part between what `gather` has and still further linear columns."""
    linear, inner = columns.linear, _crossed(columns, member, first, weights)
    if not linear.shape[1]:
        return inner
    products = (linear[:, :, None] * member[:, None, :]).reshape(linear.shape[0], -1)
    outer = jnp.matmul(weights, products, precision="highest")
    outer = outer.reshape(len(weights), linear.shape[1], member.shape[1])
    return jnp.concatenate([inner, outer], axis=1)


def _crossed(columns: Columns, member: Array, first: Array, weights: Array) -> Array:
    """Of coefficients and still further columns, [problems, m, k]."""
    pattern, rows, _ = columns
    products = (rows[:, :, None] * member[:, None, :]).reshape(rows.shape[0], -1)
    found = _product(first * weights[:, None], products)
    shape = len(weights), pattern.terms, rows.shape[1], member.shape[1]
    found = found.reshape(shape)
    return found[:, np.array(pattern.term), np.array(pattern.coordinate)]
