"""`log_sum_exp_normal_equations` for a batch on a Hopper GPU: one problem a thread.

Every thread keeps the sums of its problem (`log_sum_exp_layout`) in registers, a fused
multiply-add each a row, while the rows stream through shared memory. Where registers do
not hold all sums, the grid has slices: each adds up some of the sums and computes the
shares anew. Nothing of size problems x rows is written but the transposed weights; XLA
drops that too where they are the transpose of an array [rows, problems].

Sums are float32, one row after the other, and nothing compensates: interpreted on 1,730
rows they were off by up to 3e-6 of their scale (the cost, sqrt(cost h_ii) in the
gradient, sqrt(h_ii h_jj) in the Hessian h), under eps sqrt(n) = 5e-6. Exponentials and
logarithms are the hardware's, good to 2^-22 in relative and absolute size.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import jax
import jax.experimental.pallas as pl
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental.pallas import mosaic_gpu as plgpu
from jaxtyping import Array, Float

from surrogate_kernels import mosaic
from surrogate_kernels.log_sum_exp_layout import (
    COST,
    GRADIENT,
    Layout,
    Pair,
    Sum,
    layout,
    row_table,
)
from surrogate_kernels.pattern import Pattern
from surrogate_kernels.ref import NormalEquations

NAME = "log_sum_exp_normal_equations"
# Rows that one copy to shared memory brings; the next copy runs meanwhile.
CHUNK = 16
# Sums and parameters that a thread holds: 215 (p = 20) compile without spills into its
# 255 registers, beside the shares and the factors.
HELD = 216
# As far as it was compiled: 65 parameters are 11 slices, and none spills with up to 8
# linear columns; 12 spill 100 registers.
MAX_SIZE = 65
# One copy's rows hold up to 256 numbers, one of them the target.
MAX_PRODUCTS = 255


def _factors(
    parts: list[Array], total: Array, weight: Array, residual: Array
) -> dict[Pair, Array]:
    """The factor of every pair of terms; what a slice does not use is never computed.

    Args:
        parts: shares times `total`.
        total: sum of the parts.
        weight: of the row.
        residual: of the row.
    """
    # Not a division, which is a dozen instructions.
    inverse = lax.rsqrt(total)
    inverse = inverse * inverse
    pull = weight * residual
    once = pull * inverse
    twice = (weight - pull) * inverse * inverse
    cross = weight * inverse
    last = len(parts)
    found = {
        (COST, COST): pull * residual,
        (GRADIENT, last): pull,
        (last, last): weight,
    }
    for t, part in enumerate(parts):
        found[GRADIENT, t] = once * part
        found[t, last] = cross * part
        for u in range(t, last):
            found[t, u] = (twice * part) * parts[u]
        found[t, t] = found[t, t] + found[GRADIENT, t]
    return found


class _Row(NamedTuple):
    """One row of 128 problems."""

    target: Array
    product: dict[Pair, Array]
    """Of its columns."""
    weight: Array


def _add_row(
    pattern: Pattern,
    sums: tuple[Sum, ...],
    theta: list[Array],
    row: _Row,
    held: tuple[Array, ...],
) -> tuple[Array, ...]:
    """The sums with one row of 128 problems added.

    Args:
        pattern: where the coefficients stand.
        sums: what is added up.
        theta: coefficients, in units of ln 2, and offsets.
        row: target, products of columns and weights.
        held: the sums over the rows before.
    """
    target, product, weight = row

    def times(value: Array, columns: Pair) -> Array:
        return value * product[columns] if columns in product else value

    exponents: dict[int, Array] = {}
    for t, c, value in zip(pattern.term, pattern.coordinate, theta, strict=False):
        part = times(value, (0, c))
        exponents[t] = exponents[t] + part if t in exponents else part
    powers = [exponents.get(t, jnp.zeros_like(weight)) for t in range(pattern.terms)]
    top = functools.reduce(jnp.maximum, powers)
    parts = [jnp.exp2(power - top) for power in powers]
    total = functools.reduce(jnp.add, parts)
    residual = (top + jnp.log2(total)) * math.log(2) - target
    for k, value in enumerate(theta[len(pattern.term) :]):
        residual = residual + times(value, (0, pattern.coordinates + k))
    factor = _factors(parts, total, weight, residual)
    added = [times(factor[one.terms], one.columns) for one in sums]
    return tuple(a + b for a, b in zip(held, added, strict=True))


class _Refs(NamedTuple):
    """What the kernel reads and writes; what is here is in shared memory, twice."""

    theta: Any
    table: Any
    weights: Any
    out: Any
    table_here: Any
    weights_here: Any
    arrived: Any


def _begin(step: Any, rows: int) -> Any:
    """First row of a copy; the last begins early, with rows of the one before."""
    return jnp.minimum(step * CHUNK, rows - CHUNK)


def _fetch(refs: _Refs, problems: Any, step: Any, buffer: Any) -> None:
    """Begin to copy a chunk of rows to shared memory."""
    chunk = pl.ds(_begin(step, refs.table.shape[0]), CHUNK)
    for source, here in (
        (refs.table.at[chunk], refs.table_here),
        (refs.weights.at[chunk, problems], refs.weights_here),
    ):
        plgpu.copy_gmem_to_smem(source, here.at[buffer], refs.arrived.at[buffer])


def _slice(pattern: Pattern, at: Layout, interpret: Any, which: int, refs: Any) -> None:
    """The sums of one slice, of 128 problems over all rows."""
    block = lax.div(lax.axis_index("tile"), np.int32(len(at.slices)))
    problems = pl.ds(block * mosaic.LANES, mosaic.LANES)
    rows = refs.table.shape[0]
    steps = -(-rows // CHUNK)
    # Two rows at once hide each other's latency; four would spill.
    unroll = 2 if rows % 2 == 0 else 1
    sums = at.slices[which]
    _fetch(refs, problems, 0, 0)
    theta = [refs.theta[i, problems] for i in range(refs.theta.shape[0])]

    def add(row: Array, buffer: Array, held: tuple[Array, ...]) -> tuple[Array, ...]:
        target, *products = (
            refs.table_here[buffer, row, k] for k in range(1 + len(at.products))
        )
        product = dict(zip(at.products, products, strict=True))
        one = _Row(target, product, refs.weights_here[buffer, row])
        return _add_row(pattern, sums, theta, one, held)

    def chunk(step: Array, held: tuple[Array, ...]) -> tuple[Array, ...]:
        buffer = lax.rem(step, 2)
        ahead = step + 1
        pl.when(ahead < steps)(lambda: _fetch(refs, problems, ahead, 1 - buffer))
        plgpu.barrier_wait(refs.arrived.at[buffer])

        def some(i: Array, held: tuple[Array, ...]) -> tuple[Array, ...]:
            for k in range(unroll):
                held = add(i * unroll + k, buffer, held)
            return held

        seen = step * CHUNK - _begin(step, rows)
        return lax.fori_loop(seen // unroll, np.int32(CHUNK // unroll), some, held)

    strided = plgpu.Layout.WG_STRIDED((mosaic.LANES,), vec_size=1)
    zero = mosaic.with_layout(jnp.zeros(mosaic.LANES, jnp.float32), strided, interpret)
    # int32 also where 64-bit types are on, for want of registers.
    held = lax.fori_loop(np.int32(0), np.int32(steps), chunk, (zero,) * len(sums))
    first = sum(map(len, at.slices[:which]))
    for k, value in enumerate(held):
        refs.out[first + k, problems] = value


def _body(pattern: Pattern, at: Layout, interpret: Any, *refs: Any) -> None:
    here = lax.rem(lax.axis_index("tile"), np.int32(len(at.slices)))
    for which in range(len(at.slices)):
        run = functools.partial(_slice, pattern, at, interpret, which, _Refs(*refs))
        if len(at.slices) == 1:
            run()
        else:
            pl.when(here == which)(run)


def _sums(
    pattern: Pattern,
    at: Layout,
    theta: Float[Array, "R p"],
    table: Float[Array, "n width"],
    weights: Float[Array, "R n"],
    interpret: Any,
) -> Float[Array, "R sums"]:
    """Run the kernel."""
    (problems, size), (rows, width) = theta.shape, table.shape
    lanes = mosaic.padded_size(problems, mosaic.LANES)
    count = sum(map(len, at.slices))
    call = plgpu.kernel(
        functools.partial(_body, pattern, at, interpret),
        out_type=jax.ShapeDtypeStruct((count, lanes), jnp.float32),
        # One axis, because CUDA limits a second one to 65,535. Slices of the same
        # problems run side by side and share the weights in the cache.
        grid=(lanes // mosaic.LANES * len(at.slices),),
        grid_names=("tile",),
        scratch_types=[
            plgpu.SMEM((2, CHUNK, width), jnp.float32),
            plgpu.SMEM((2, CHUNK, mosaic.LANES), jnp.float32),
            plgpu.Barrier(num_arrivals=2, num_barriers=2),
        ],
        kernel_name=f"{NAME}_{size}",
        compiler_params=dataclasses.replace(
            mosaic.compiler_params(barriers=True), approx_math=True
        ),
        interpret=interpret,
    )
    # A row of padding has weight 0.
    whole = max(rows, CHUNK)
    weights = mosaic.pad_axis(mosaic.pad_axis(weights.T, 0, whole), 1, lanes)
    table = mosaic.pad_axis(table, 0, whole)
    return call(mosaic.pad_axis(theta.T, 1, lanes), table, weights)[:, :problems].T


def log_sum_exp_normal_equations(
    coefficients: Float[Array, "R m"],
    offsets: Float[Array, "R q"],
    pattern: Pattern,
    rows: Float[Array, "n d"],
    linear: Float[Array, "n q"],
    target: Float[Array, " n"],
    weights: Float[Array, "R n"],
    *,
    interpret: Any = None,
) -> NormalEquations:
    """`ref.log_sum_exp_normal_equations` of many problems over the same rows.

    Args:
        coefficients: free coefficients of the affine functions.
        offsets: coefficients of the further linear columns.
        pattern: where the free coefficients stand.
        rows: [1, coordinates] a row.
        linear: further columns that enter linearly.
        target: what is fitted.
        weights: of the squared residuals; 0 leaves a row out.
        interpret: `mosaic.interpreter()` to run it on a CPU, slowly.

    Raises:
        NotImplementedError: not float32; more than 65 parameters, or more than 255
            products of columns (p = 38, 18 of them linear); all the reasons.
    """
    size = coefficients.shape[1] + offsets.shape[1]
    mosaic.check_float32(NAME, coefficients, offsets, rows, linear, target, weights)
    at = layout(pattern, linear.shape[1], HELD)
    held = {
        "parameters": (MAX_SIZE, size),
        "products of columns": (MAX_PRODUCTS, len(at.products)),
    }
    reasons = [
        f"up to {most} {what}, got {got}"
        for what, (most, got) in held.items()
        if got > most
    ]
    if reasons:
        raise NotImplementedError(
            f"the Mosaic kernel {NAME} holds {'; '.join(reasons)}. Use the xla backend."
        )
    theta = jnp.concatenate([coefficients * (1 / math.log(2)), offsets], axis=1)
    table = row_table(at, jnp.concatenate([rows, linear], axis=1), target)
    sums = _sums(pattern, at, theta, table, weights, interpret)
    return NormalEquations(sums[:, 0], sums[:, at.gradient], sums[:, at.hessian])
