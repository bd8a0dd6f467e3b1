"""The definition of every operation in plain jnp: the specification and the CPU path.

Each function treats ONE problem; `jax.vmap` makes the batch. Letters: n rows, t terms,
d coordinates with the constant 1 first, m free coefficients, q further linear columns,
p = m + q parameters.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from surrogate_kernels.pattern import Pattern


class NormalEquations(NamedTuple):
    """Sums over the rows, for residual r, Jacobian J and weights w.

    Attributes:
        cost: sum_i w_i r_i^2.
        gradient: J' W r, half the cost's gradient.
        hessian: half the cost's Hessian, J' W J + sum_i w_i r_i (Hessian of r_i), and
            not Gauss-Newton's part alone. Of a linear model it is J' W J.
    """

    cost: Float[Array, ""]
    gradient: Float[Array, " p"]
    hessian: Float[Array, "p p"]


def affine_matrix(
    coefficients: Float[Array, " m"], pattern: Pattern
) -> Float[Array, "t d"]:
    """The coefficients of all affine functions, [constant, coordinates] a term."""
    shape = (pattern.terms, pattern.coordinates)
    return (
        jnp.zeros(shape, coefficients.dtype)
        .at[np.array(pattern.term), np.array(pattern.coordinate)]
        .set(coefficients)
    )


def log_sum_exp(
    coefficients: Float[Array, " m"],
    pattern: Pattern,
    rows: Float[Array, "n d"],
) -> tuple[Float[Array, " n"], Float[Array, "n t"]]:
    """Ln sum_t exp(affine_t(row)) and each term's share of the sum."""
    exponents = jnp.matmul(
        rows, affine_matrix(coefficients, pattern).T, precision="highest"
    )
    top = jax.lax.stop_gradient(exponents.max(axis=1, keepdims=True))
    parts = jnp.exp(exponents - top)
    total = parts.sum(axis=1, keepdims=True)
    return (top + jnp.log(total))[:, 0], parts / total


def log_sum_exp_normal_equations(
    coefficients: Float[Array, " m"],
    offsets: Float[Array, " q"],
    pattern: Pattern,
    rows: Float[Array, "n d"],
    linear: Float[Array, "n q"],
    target: Float[Array, " n"],
    weights: Float[Array, " n"],
) -> NormalEquations:
    """Weighted normal equations of `log_sum_exp(rows) + linear @ offsets - target`.

    Args:
        coefficients: free coefficients of the affine functions.
        offsets: coefficients of the further linear columns.
        pattern: where the free coefficients stand.
        rows: [1, coordinates] a row.
        linear: further columns that enter linearly.
        target: what is fitted.
        weights: of the squared residuals; 0 leaves a row out.
    """
    value, share = log_sum_exp(coefficients, pattern, rows)
    residual = value - target + jnp.matmul(linear, offsets, precision="highest")
    term, coordinate = np.array(pattern.term), np.array(pattern.coordinate)
    along = rows[:, coordinate]
    bent = share[:, term] * along
    jacobian = jnp.concatenate([bent, linear], axis=1)
    weighted = jacobian * weights[:, None]
    # The Hessian of ln sum exp is diag(share) - share share' in the affine functions.
    pull = (weights * residual)[:, None]
    same = jnp.asarray(term[:, None] == term[None, :])
    second = jnp.where(same, jnp.matmul((pull * bent).T, along, precision="highest"), 0)
    second = second - jnp.matmul((pull * bent).T, bent, precision="highest")
    free = len(term)
    gram = jnp.matmul(weighted.T, jacobian, precision="highest")
    return NormalEquations(
        cost=jnp.sum(weights * residual**2),
        gradient=jnp.matmul(weighted.T, residual, precision="highest"),
        hessian=gram.at[:free, :free].add(second),
    )


def log_sum_exp_cost(
    coefficients: Float[Array, " m"],
    offsets: Float[Array, " q"],
    pattern: Pattern,
    rows: Float[Array, "n d"],
    linear: Float[Array, "n q"],
    target: Float[Array, " n"],
    weights: Float[Array, " n"],
) -> Float[Array, ""]:
    """The cost alone of `log_sum_exp_normal_equations`; differentiable."""
    value, _ = log_sum_exp(coefficients, pattern, rows)
    residual = value - target + jnp.matmul(linear, offsets, precision="highest")
    return jnp.sum(weights * residual**2)


def solve_spd(
    matrix: Float[Array, "p p"], right: Float[Array, " p"]
) -> Float[Array, " p"]:
    """Solve a symmetric positive definite system; NaN where it is not definite.

    The matrix is scaled to a unit diagonal first, so that parameters of different
    sizes do not cost digits.
    """
    scale = 1 / jnp.sqrt(jnp.diagonal(matrix))
    factor = jnp.linalg.cholesky(matrix * scale[:, None] * scale[None, :])
    return scale * jax.scipy.linalg.cho_solve((factor, True), scale * right)
