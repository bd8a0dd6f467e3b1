"""`solve_spd` for a batch on a Hopper GPU: one system a thread, all in registers."""

from __future__ import annotations

from typing import Any

import jax
import jax.experimental.pallas as pl
import jax.numpy as jnp
import numpy as np
from jax.experimental.pallas import mosaic_gpu as plgpu
from jaxtyping import Array, Float

from surrogate_kernels import mosaic

# The triangle and the right-hand side of 20 unknowns are 230 of a thread's 255
# registers; 21 spill 41 of them, more would live in memory.
MAX_SIZE = 21


def _eliminate(lower: list[list[Array]], right: list[Array]) -> list[Array]:
    """Solve entry by entry; each entry is a vector over the problems.

    Cholesky's factor replaces the lower triangle (the inverse of its diagonal stands on
    the diagonal) and the solution the right-hand side, both in place. A pivot that is
    not positive becomes NaN, and every entry of that problem's solution with it.
    """
    size = len(right)
    for j in range(size):
        for k in range(j):
            for i in range(j, size):
                lower[i][j] = lower[i][j] - lower[i][k] * lower[j][k]
            right[j] = right[j] - lower[j][k] * right[k]
        root = jax.lax.rsqrt(jnp.where(lower[j][j] > 0, lower[j][j], jnp.nan))
        lower[j][j] = root
        for i in range(j + 1, size):
            lower[i][j] = lower[i][j] * root
        right[j] = right[j] * root
    for j in reversed(range(size)):
        for k in range(j + 1, size):
            right[j] = right[j] - lower[k][j] * right[k]
        right[j] = right[j] * lower[j][j]
    return right


def _body(size: int, packed: Any, right: Any, out: Any) -> None:
    """128 problems: load, scale to a unit diagonal, solve, store."""
    problems = pl.ds(jax.lax.axis_index("block") * mosaic.LANES, mosaic.LANES)
    start = [i * (i + 1) // 2 for i in range(size)]
    lower = [
        [packed[start[i] + j, problems] for j in range(i + 1)] for i in range(size)
    ]
    scale = [jax.lax.rsqrt(lower[i][i]) for i in range(size)]
    lower = [
        [lower[i][j] * scale[i] * scale[j] for j in range(i + 1)] for i in range(size)
    ]
    found = _eliminate(lower, [right[i, problems] * scale[i] for i in range(size)])
    for i in range(size):
        out[i, problems] = found[i] * scale[i]


def solve_spd(
    matrix: Float[Array, "R p p"],
    right: Float[Array, "R p"],
    *,
    interpret: Any = None,
) -> Float[Array, "R p"]:
    """Solve symmetric positive definite systems; NaN where one is not definite.

    Args:
        matrix: only the lower triangles are read.
        right: the right-hand sides.
        interpret: `mosaic.interpreter()` to run it on a CPU, slowly.

    Raises:
        NotImplementedError: not float32, or more than 21 unknowns.
    """
    mosaic.check_float32("solve_spd", matrix, right)
    count, size = right.shape
    if size > MAX_SIZE:
        raise NotImplementedError(
            f"the Mosaic kernel solve_spd holds up to {MAX_SIZE} unknowns in "
            f"registers, got {size}. Use the xla backend."
        )
    width = mosaic.padded_size(count, mosaic.LANES)
    row, column = np.tril_indices(size)
    call = plgpu.kernel(
        lambda *refs: _body(size, *refs),
        out_type=jax.ShapeDtypeStruct((size, width), jnp.float32),
        grid=(width // mosaic.LANES,),
        grid_names=("block",),
        kernel_name=f"solve_spd_{size}",
        compiler_params=mosaic.compiler_params(),
        interpret=interpret,
    )
    packed = mosaic.pad_axis(matrix[:, row, column].T, 1, width)
    return call(packed, mosaic.pad_axis(right.T, 1, width))[:, :count].T
