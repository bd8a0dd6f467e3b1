"""Weighted normal equations of a linear model for a batch, as one matrix product.

What every replica sums are the products of pairs among [features, target]; they do not
depend on the weights, so the sums of all replicas are weights [R n] times products
[n q], q = (p + 1) (p + 2) / 2. Nothing of size R x n x p exists.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from surrogate_kernels import ref
from surrogate_kernels.poisson import poisson_counts, seed_words


def pair_products(
    features: Float[Array, "n p"], target: Float[Array, " n"], base: Float[Array, " n"]
) -> Float[Array, "n q"]:
    """Base times the products of all pairs among [features, target], packed."""
    both = jnp.concatenate([features, target[:, None]], axis=1)
    left, right = np.tril_indices(both.shape[1])
    return both[:, left] * both[:, right] * base[:, None]


def places(size: int) -> Int[np.ndarray, "side side"]:
    """Where the packed sums hold each pair of `size` features and the target."""
    rows = np.arange(size + 1)
    low, high = np.minimum.outer(rows, rows), np.maximum.outer(rows, rows)
    return high * (high + 1) // 2 + low


def unpack(sums: Float[Array, "R q"], size: int) -> ref.NormalEquations:
    """Cost, gradient and Gram matrix of p = `size` parameters from packed sums."""
    at = places(size)
    return ref.NormalEquations(
        sums[:, at[size, size]],
        -sums[:, at[size, :size]],
        sums[:, at[:size, :size]],
    )


def weighted_gram(
    features: Float[Array, "n p"],
    target: Float[Array, " n"],
    weights: Float[Array, "R n"],
) -> ref.NormalEquations:
    """`ref.weighted_gram` for each row of weights."""
    products = pair_products(features, target, jnp.ones_like(target))
    sums = jnp.matmul(weights, products, precision="highest")
    return unpack(sums, features.shape[1])


def poisson_gram(
    features: Float[Array, "n p"],
    target: Float[Array, " n"],
    base: Float[Array, " n"],
    seed: Any,
    replicas: Int[Array, " R"],
) -> ref.NormalEquations:
    """`ref.poisson_gram` for each replica; the counts exist as an R x n array."""
    key = seed_words(seed)
    rows, dtype = base.shape[0], base.dtype
    counts = jax.vmap(lambda r: poisson_counts(key, r, rows, dtype))(replicas)
    sums = jnp.matmul(
        counts, pair_products(features, target, base), precision="highest"
    )
    return unpack(sums, features.shape[1])
