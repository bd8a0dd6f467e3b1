"""How often a Poisson(1) bootstrap takes each row: a function of a counter.

A count depends on (seed, replica, row) alone, so that neither the number of replicas
nor of rows, blocks or devices changes a draw. Bits come from Threefry-2x32 with 20
rounds under the key (low word, high word of the seed) at the counter (replica,
row // 4): two words, four 16-bit numbers, one for each of rows 4j to 4j + 3.

Source: Salmon, Moraes, Dror, Shaw, Parallel Random Numbers: As Easy as 1, 2, 3 (2011).
"""

from __future__ import annotations

import itertools
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Real, UInt32

# Threefry-2x32's rotations, for even and odd groups of four rounds, and the constant
# that closes its key (Salmon et al., table 2 and section 4.2).
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_GROUPS = 5

# A 16-bit number u is the count k where THRESHOLDS[k - 1] <= u < THRESHOLDS[k]: 2^16
# times the distribution function of Poisson(1), P(count <= k), rounded. So each of its
# values is within 2^-17 of Poisson's; counts over 8 (1.1e-6 together) do not occur; the
# mean is 1 exactly, the variance 1 - 3.1e-5.
THRESHOLDS = (24109, 48219, 60273, 64292, 65296, 65497, 65531, 65535)


def seed_words(seed: Any) -> UInt32[Array, " 2"]:
    """The low and the high word of a seed.

    Args:
        seed: an int from 0 to 2^64 - 1, or its two words already.

    Raises:
        ValueError: an int outside that range.
    """
    if isinstance(seed, int | np.integer):
        if not 0 <= seed < 2**64:
            raise ValueError(f"expected a seed from 0 to 2^64 - 1, got {seed}")
        return jnp.array([int(seed) & 0xFFFFFFFF, int(seed) >> 32], jnp.uint32)
    return jnp.asarray(seed, jnp.uint32)


def threefry(key: tuple[Array, Array], counter: tuple[Array, Array]) -> list[Array]:
    """Threefry-2x32-20 of uint32 arrays of one shape, or of scalars."""

    def word(value: int) -> Array:
        return jnp.uint32(value)

    keys = (*key, key[0] ^ key[1] ^ word(_PARITY))
    left, right = counter[0] + keys[0], counter[1] + keys[1]
    for group, rotations in zip(
        range(_GROUPS), itertools.cycle(_ROTATIONS), strict=False
    ):
        for by in rotations:
            left = left + right
            right = ((right << word(by)) | (right >> word(32 - by))) ^ left
        left = left + keys[(group + 1) % 3]
        right = right + keys[(group + 2) % 3] + word(group + 1)
    return [left, right]


def counts_of(bits: Array, dtype: Any) -> Array:
    """Poisson(1) counts of 16-bit numbers, held in uint32.

    Selects and not a sum of comparisons: XLA's CPU compiler keeps them vectorised where
    a sum over the counts follows.
    """
    count = jnp.zeros(bits.shape, dtype)
    for k, threshold in enumerate(THRESHOLDS):
        above = bits >= jnp.uint32(threshold)
        count = jnp.where(above, jnp.asarray(k + 1, dtype), count)
    return count


def poisson_counts(
    seed: Any, replica: Any, rows: int, dtype: Any = jnp.float32
) -> Float[Array, " n"]:
    """How often one replica of a Poisson(1) bootstrap takes each row.

    Every row computes its counter's two words and uses a quarter: four times the
    arithmetic of sharing them, and yet as fast on a CPU, where the four rows of a
    counter would have to be interleaved.

    Args:
        seed: an int from 0 to 2^64 - 1, or its low and high word, uint32.
        replica: its number, a 32-bit integer.
        rows: how many there are.
        dtype: of the result.
    """
    low, high = seed_words(seed)
    row = lax.iota(jnp.uint32, rows)
    number = jnp.broadcast_to(jnp.asarray(replica).astype(jnp.uint32), row.shape)
    first, second = threefry((low, high), (number, row >> jnp.uint32(2)))
    bits = jnp.where((row & jnp.uint32(2)) != 0, second, first)
    odd = (row & jnp.uint32(1)) != 0
    return counts_of(
        jnp.where(odd, bits >> jnp.uint32(16), bits & jnp.uint32(0xFFFF)), dtype
    )


def fours(rows: int) -> np.ndarray:
    """The row of each column of `poisson_counts_in_fours`; at least `rows`: padding."""
    words = -(-rows // 4)
    return np.add.outer(np.arange(4), 4 * np.arange(words)).reshape(-1)


def poisson_counts_in_fours(
    seed: Any,
    replicas: Int[Array, " R"],
    rows: int,
    dtype: Any = jnp.float32,
    first: Any = 0,
) -> Real[Array, "R columns"]:
    """`poisson_counts` of many replicas, columns in the order of `fours`.

    Where sums over the rows follow, their order is free: the first rows of all
    counters, then the second ones, and so on. Each counter's words are then computed
    once and nothing is interleaved. Columns of padding hold draws like any other.

    Args:
        seed: an int from 0 to 2^64 - 1, or its low and high word, uint32.
        replicas: their numbers, 32-bit integers.
        rows: how many there are.
        dtype: of the result.
        first: a multiple of 4, the row that the first one is.
    """
    low, high = seed_words(seed)
    shape = (replicas.shape[0], -(-rows // 4))
    number = jnp.broadcast_to(replicas.astype(jnp.uint32)[:, None], shape)
    counters = lax.iota(jnp.uint32, shape[1]) + jnp.asarray(first // 4, jnp.uint32)
    counter = jnp.broadcast_to(counters, shape)
    # Without the barrier XLA would compute the words again for each quarter.
    words = lax.optimization_barrier(threefry((low, high), (number, counter)))
    halves = [
        half
        for word in words
        for half in (word & jnp.uint32(0xFFFF), word >> jnp.uint32(16))
    ]
    # In bytes, and apart from what follows: XLA's CPU compiler then counts 2.5 times as
    # fast as where it makes floats of `dtype` at once.
    counts = lax.optimization_barrier([counts_of(half, jnp.int8) for half in halves])
    return jnp.concatenate(counts, axis=1).astype(dtype)
