"""The bootstrap's counts: Threefry's published vectors, Poisson(1), what they need."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend import random as jax_random

from surrogate_kernels import gram_xla, poisson, ref, specs

MASK = 0xFFFFFFFF
ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24]


def word(value: int) -> jax.Array:
    return jnp.uint32(value)


def counts(seed: Any, replicas: np.ndarray, rows: int, dtype: Any = "f4") -> np.ndarray:
    key = poisson.seed_words(seed)
    many = jax.vmap(lambda r: ref.poisson_counts(key, r, rows, dtype))
    return np.asarray(jax.jit(many)(jnp.asarray(replicas)))


def by_hand(seed: int, replica: int, row: int) -> int:
    """One count in Python integers, from the paper and the distribution function."""
    keys = [seed & MASK, seed >> 32]
    keys.append(keys[0] ^ keys[1] ^ 0x1BD11BDA)
    a, b = (replica + keys[0]) & MASK, (row // 4 + keys[1]) & MASK
    for i in range(20):
        by = ROTATIONS[i % 8]
        a = (a + b) & MASK
        b = (((b << by) | (b >> (32 - by))) & MASK) ^ a
        if i % 4 == 3:
            j = i // 4 + 1
            a, b = (a + keys[j % 3]) & MASK, (b + keys[(j + 1) % 3] + j) & MASK
    bits = ((b if row % 4 > 1 else a) >> (16 * (row % 2))) & 0xFFFF
    count, below = 0, math.exp(-1)
    while bits >= round(2**16 * below):
        count += 1
        below += math.exp(-1) / math.factorial(count)
    return count


# ---- bits -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "counter", "wanted"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((MASK, MASK), (MASK, MASK), (0x1CB996FC, 0xBB002BE7)),
        (
            (0x13198A2E, 0x03707344),
            (0x243F6A88, 0x85A308D3),
            (0xC4923A9C, 0x483DF7A0),
        ),
    ],
    ids=["zeros", "ones", "pi"],
)
def test_threefry_gives_the_published_vectors(
    key: tuple[int, int], counter: tuple[int, int], wanted: tuple[int, int]
) -> None:
    # Golden: threefry2x32 20 of kat_vectors in Random123 1.14, exact.
    pairs = [(word(a), word(b)) for a, b in (key, counter)]
    assert tuple(int(w) for w in poisson.threefry(pairs[0], pairs[1])) == wanted


def test_threefry_is_jax_s() -> None:
    # Independent code; integers, exact.
    key = jnp.array([0x12345678, 0x9ABCDEF1], jnp.uint32)
    counter = jnp.array([3, 1 << 31, 77, MASK, 5, 6], jnp.uint32)
    found = poisson.threefry((key[0], key[1]), (counter[:3], counter[3:]))
    wanted = jax_random.threefry_2x32(key, counter)
    np.testing.assert_array_equal(np.concatenate(found), wanted)


@pytest.mark.parametrize("seed", [0, 3, 2**40 + 17, 2**64 - 1])
def test_counts_are_those_of_the_paper_by_hand(seed: int) -> None:
    # Independent code; exact. Row 4,001 is no multiple of a vector's length.
    replicas = np.array([0, 1, 2**31 - 1], np.int32)
    found = counts(seed, replicas, 4001)
    for row in [*range(11), 3999, 4000]:
        wanted = [by_hand(seed, int(replica), row) for replica in replicas]
        np.testing.assert_array_equal(found[:, row], wanted)


# ---- what they depend on --------------------------------------------------------


def test_a_count_depends_on_seed_replica_and_row_alone() -> None:
    # Property; exact.
    many = counts(9, np.arange(100, dtype=np.int32), 57)
    alone = ref.poisson_counts(9, 63, 57)
    np.testing.assert_array_equal(many[63], alone)
    np.testing.assert_array_equal(many[:, :10], counts(9, np.arange(100), 10))
    assert (many != counts(10, np.arange(100), 57)).any()
    assert (many != counts(9 + 2**32, np.arange(100), 57)).any()


@pytest.mark.parametrize("rows", [1, 4, 57])
def test_counts_in_fours_are_the_same_counts(rows: int) -> None:
    # Property; exact. Columns past the last row are padding.
    replicas = np.array([0, 5, 2**31 - 1], np.int32)
    in_fours = jax.jit(lambda r: poisson.poisson_counts_in_fours(9, r, rows))
    found = np.asarray(in_fours(jnp.asarray(replicas)))
    order = poisson.fours(rows)
    assert found.shape == (3, len(order))
    assert sorted(order[order < rows]) == list(range(rows))
    wanted = counts(9, replicas, rows)
    np.testing.assert_array_equal(
        found[:, order < rows], wanted[:, order[order < rows]]
    )


def test_a_seed_may_be_its_two_words() -> None:
    seed = 0xFEDCBA9876543210
    words = np.array([0x76543210, 0xFEDCBA98], np.uint32)
    np.testing.assert_array_equal(
        ref.poisson_counts(seed, 5, 40), ref.poisson_counts(words, 5, 40)
    )


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_of_more_than_two_words_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=rf"from 0 to 2\^64 - 1, got {seed}"):
        ref.poisson_counts(seed, 0, 4)


def test_counts_have_the_type_asked_for() -> None:
    with jax.enable_x64(True):
        double = ref.poisson_counts(1, 2, 50, jnp.float64)
    assert double.dtype == jnp.float64
    single = ref.poisson_counts(1, 2, 50)
    assert single.dtype == jnp.float32
    np.testing.assert_array_equal(np.asarray(double), np.asarray(single))


# ---- how they are distributed ---------------------------------------------------


def test_thresholds_are_the_distribution_function_rounded() -> None:
    # Closed form; half a unit of 2^-16.
    whole = np.array([*poisson.THRESHOLDS, 2**16]) / 2**16
    mass = [math.exp(-1) / math.factorial(k) for k in range(9)]
    np.testing.assert_allclose(whole, np.cumsum(mass), rtol=0, atol=2**-17)
    chance = np.diff(whole, prepend=0.0)
    assert chance @ np.arange(9) == 1.0
    variance = chance @ (np.arange(9) - 1.0) ** 2
    assert variance == pytest.approx(1, abs=4e-5)


def test_frequencies_are_poisson_s() -> None:
    # Statistical: 4.5 binomial standard deviations of 2^19 draws, fixed seed, and 2^-16
    # for the thresholds' rounding.
    found = counts(20, np.arange(512, dtype=np.int32), 1024)
    draws = found.size
    for k in range(9):
        chance = math.exp(-1) / math.factorial(k)
        spread = math.sqrt(draws * chance * (1 - chance))
        off = abs((found == k).sum() - draws * chance)
        assert off < 4.5 * spread + draws * 2**-16, k
    assert found.max() <= 8


def test_neighbours_are_not_correlated() -> None:
    # Statistical: 4.5 / sqrt(draws); rows of one counter and of two, and replicas.
    found = counts(21, np.arange(256, dtype=np.int32), 1024) - 1.0
    other = counts(22, np.arange(256, dtype=np.int32), 1024) - 1.0
    limit = 4.5 / math.sqrt(found.size)
    for shift in (1, 2, 3, 4):
        assert abs(np.mean(found[:, shift:] * found[:, :-shift])) < limit * 1.01
    assert abs(np.mean(found[1:] * found[:-1])) < limit * 1.01
    assert abs(np.mean(found * other)) < limit


# ---- sums -----------------------------------------------------------------------


def test_poisson_gram_sums_over_the_rows_as_often_as_drawn() -> None:
    # Independent code; tolerance: rounding of float64 sums over 21 rows.
    features, target, base, words, replicas = specs.Spec("poisson_gram", 2, 3, 21).draw(
        4, np.float64
    )
    seed = int(words[0]) | int(words[1]) << 32
    with jax.enable_x64(True):
        sums_of = jax.jit(
            lambda f, t, b: ref.poisson_gram(f, t, b, seed, int(replicas[1]))
        )
        found = sums_of(features, target, base)
    weight = base * [by_hand(seed, int(replicas[1]), row) for row in range(21)]
    both = np.column_stack([features, target])
    outer = [w * np.outer(row, row) for w, row in zip(weight, both, strict=True)]
    sums = np.sum(outer, axis=0)
    np.testing.assert_allclose(found.hessian, sums[:3, :3], rtol=1e-13)
    np.testing.assert_allclose(found.gradient, -sums[:3, 3], rtol=1e-13)
    np.testing.assert_allclose(found.cost, sums[3, 3], rtol=1e-13)


def test_one_product_for_all_replicas_is_each_replica_s_sums() -> None:
    # Independent code; tolerance: rounding of float64 sums over 21 rows.
    arguments = specs.Spec("poisson_gram", 5, 3, 21).draw(5, np.float64)
    with jax.enable_x64(True):
        found = jax.jit(gram_xla.poisson_gram)(*arguments)
        each = jax.vmap(ref.poisson_gram, in_axes=(None, None, None, None, 0))
        wanted = jax.jit(each)(*arguments)
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)
