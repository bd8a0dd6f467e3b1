"""`solve_spd` for a batch in plain XLA, vectorised over the problems.

The problem axis is last, so every step is a vector over problems: a batched LAPACK call
treats them one after the other (2 to 20 times slower on a CPU for p = 3 to 20). Columns
are a loop and not unrolled: XLA fuses an unrolled elimination into kernels that each
compute their predecessors anew, and needs seconds to compile it.
"""

from __future__ import annotations

import functools
import itertools

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from surrogate_kernels.mosaic import pad_axis, padded_size

# Numbers at a time on a CPU: a block's systems and factor stay in its cache.
_ELEMENTS = 2**16
# A column is corrected by every earlier one; stages know statically which rows and
# earlier columns still matter, and three of them save half the work of one.
STAGES = 3


def _factor(
    packed: Float[Array, "p width R"],
) -> tuple[Float[Array, "p width R"], Float[Array, "p R"]]:
    """Cholesky's factor of unit-diagonal systems and the inverse of its diagonal.

    Column j of `packed` holds row j of the matrix and, last, of the right-hand sides,
    whose rows of the factor then solve the first triangular system.
    """
    size, _, count = packed.shape
    factor = jnp.zeros_like(packed)
    inverse = jnp.zeros((size, count), packed.dtype)
    edges = [size * stage // STAGES for stage in range(STAGES + 1)]
    for low, high in itertools.pairwise(edges):
        step = functools.partial(_column, packed, low, high)
        factor, inverse = lax.fori_loop(low, high, step, (factor, inverse))
    return factor, inverse


def _column(
    packed: Float[Array, "p width R"],
    low: int,
    high: int,
    j: Array,
    done: tuple[Float[Array, "p width R"], Float[Array, "p R"]],
) -> tuple[Float[Array, "p width R"], Float[Array, "p R"]]:
    """Column j of the factor, where `low` <= j < `high`; those before it are done."""
    factor, inverse = done
    rest = lax.dynamic_index_in_dim(packed, j, 0, keepdims=False)[low:]
    for k in range(high):
        rest = rest - factor[k, low:] * lax.dynamic_index_in_dim(factor[k], j, 0)
    pivot = lax.dynamic_index_in_dim(rest, j - low, 0)
    root = lax.rsqrt(jnp.where(pivot > 0, pivot, jnp.nan))
    factor = lax.dynamic_update_slice(factor, (rest * root)[None], (j, low, 0))
    return factor, lax.dynamic_update_index_in_dim(inverse, root[0], j, 0)


def _substitute(
    factor: Float[Array, "p width R"], inverse: Float[Array, "p R"]
) -> Float[Array, "p width-p R"]:
    """The second triangular system, from the last unknown to the first."""
    size = inverse.shape[0]

    def step(i: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        rest, found = state
        j = size - 1 - i
        at_j = lax.dynamic_index_in_dim(rest, j, 0, keepdims=False)
        at_j = at_j * lax.dynamic_index_in_dim(inverse, j, 0)
        row = lax.dynamic_index_in_dim(factor, j, 1, keepdims=False)
        found = lax.dynamic_update_index_in_dim(found, at_j, j, 0)
        return rest - row[:, None] * at_j[None], found

    start = (factor[:, size:], jnp.zeros_like(factor[:, size:]))
    return lax.fori_loop(0, size, step, start)[1]


def solve_systems(
    matrix: Float[Array, "p p R"], right: Float[Array, "p m R"]
) -> Float[Array, "p m R"]:
    """Solve systems with m right-hand sides each, the problems last.

    Quickest where the memory of all of them stays in a cache.
    """
    size, sides, _ = right.shape
    scale = lax.rsqrt(jnp.stack([matrix[i, i] for i in range(size)]))
    columns = jnp.concatenate([scale, jnp.ones((sides, *scale.shape[1:]), scale.dtype)])
    systems = jnp.concatenate([matrix, right], axis=1)
    factor, inverse = _factor(systems * scale[:, None] * columns[None])
    return _substitute(factor, inverse) * scale[:, None]


def _solve(
    matrix: Float[Array, "R p p"], right: Float[Array, "R p"]
) -> Float[Array, "R p"]:
    """All problems of one block."""
    return solve_systems(matrix.transpose(1, 2, 0), right.T[:, None])[:, 0].T


def _solve_blocks(
    matrix: Float[Array, "R p p"], right: Float[Array, "R p"]
) -> Float[Array, "R p"]:
    """Block by block, so that each stays in the cache."""
    count, size = right.shape
    block = max(128, _ELEMENTS // (size * (size + 1)) // 128 * 128)
    if count <= 2 * block:
        return _solve(matrix, right)
    width = padded_size(count, block)
    matrix = pad_axis(matrix, 0, width).reshape(-1, block, size, size)
    right = pad_axis(right, 0, width).reshape(-1, block, size)
    found = lax.map(lambda part: _solve(*part), (matrix, right))
    return found.reshape(width, size)[:count]


def solve_spd(
    matrix: Float[Array, "R p p"], right: Float[Array, "R p"]
) -> Float[Array, "R p"]:
    """Solve symmetric positive definite systems; NaN where one is not definite.

    Equals `jax.vmap(ref.solve_spd)` to rounding, in either precision. Only the lower
    triangles are read.
    """
    return lax.platform_dependent(matrix, right, cpu=_solve_blocks, default=_solve)
