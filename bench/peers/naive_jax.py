"""Batched weighted least squares as one first writes it in JAX: vmap(X' W X).

The batch writes an array of replicas x rows x features, and solves with batched LAPACK.
It is run in blocks, since the whole of it would not fit in memory; blocks small enough
for the cache, which is no longer naive, are about twice as fast.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

# Poisson(1) cut at 7 (probability 1e-6 beyond): a count is how many of these a uniform
# variable exceeds. Seven comparisons are far cheaper than jax.random.poisson.
_CUMULATIVE = np.exp(-1.0) * np.cumsum([1, 1, 1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720])
_THRESHOLDS = np.asarray(np.minimum(_CUMULATIVE * 2**32, 2**32 - 1), np.uint32)


def counts(key: Array, shape: tuple[int, ...]) -> Array:
    """Poisson(1) counts as int32."""
    bits = jax.random.bits(key, shape, jnp.uint32)
    total = jnp.zeros(shape, jnp.int32)
    for threshold in _THRESHOLDS:
        total += (bits >= threshold).astype(jnp.int32)
    return total


@partial(jax.jit, static_argnames="block")
def _drawn(
    key: Array, design: Array, target: Array, base: Array, ridge: Array, block: int
) -> Array:
    draw = counts(key, (block, len(target))).astype(design.dtype)
    return _solve(design, target, base[None] * draw, ridge)


@jax.jit
def _given(
    weights: Array, design: Array, target: Array, base: Array, ridge: Array
) -> Array:
    return _solve(design, target, base[None] * weights, ridge)


def _solve(design: Array, target: Array, weights: Array, ridge: Array) -> Array:
    def one(weights: Array) -> Array:
        weighted = design.T * weights[None]
        gram = jnp.matmul(weighted, design, precision="highest")
        right = jnp.matmul(weighted, target, precision="highest")
        return jnp.linalg.solve(gram + jnp.diag(ridge), right)

    return jax.vmap(one)(weights)


def weighted(
    design: np.ndarray,
    target: np.ndarray,
    base: np.ndarray,
    precision: np.ndarray,
    replicas: int,
    *,
    block: int = 1024,
    seed: int = 0,
    dtype: str = "float32",
    counts: np.ndarray | None = None,
) -> np.ndarray:
    """Weighted least squares with a Gaussian prior around 0, a replica a line.

    Arguments as in `lstsq_loop.weighted`; whole blocks are solved.
    """
    # In units of the mean weight, so that float32 sees sizes near 1.
    unit = base.mean()
    with jax.enable_x64(dtype == "float64"):
        shared = [
            jnp.asarray(a, dtype)
            for a in (design, target, base / unit, precision / unit)
        ]
        key = jax.random.key(seed)
        parts = []
        for first in range(0, replicas, block):
            if counts is None:
                part = _drawn(jax.random.fold_in(key, first), *shared, block)
            else:
                rows = jnp.asarray(counts[first : first + block], dtype)
                part = _given(rows, *shared)
            parts.append(part)
        return np.concatenate([np.asarray(part) for part in parts])[:replicas]
