"""Sums of counts times columns by digits: against exact arithmetic, and what is odd."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surrogate_kernels import digits

RNG = np.random.default_rng(0)
ROWS, REPLICAS = 37, 5
COUNTS = RNG.integers(0, 9, size=(REPLICAS, ROWS)).astype(np.int8)


def summed(columns: np.ndarray, counts: np.ndarray = COUNTS) -> np.ndarray:
    with jax.enable_x64(True):
        parts, worth = jax.jit(digits.split)(jnp.asarray(columns)[None])
        return np.asarray(jax.jit(digits.sums)(jnp.asarray(counts), parts[0], worth))


def exact(counts: np.ndarray, columns: np.ndarray) -> list[list[Fraction]]:
    return [
        [
            sum(
                (
                    int(k) * Fraction(float(x))
                    for k, x in zip(line, column, strict=True)
                ),
                Fraction(0),
            )
            for column in columns.T
        ]
        for line in counts
    ]


def error(found: np.ndarray, columns: np.ndarray) -> float:
    """Largest error, in units of counts times the largest of a column."""
    wanted, worst = exact(COUNTS, columns), 0.0
    for b, line in enumerate(wanted):
        for q, value in enumerate(line):
            most = float(np.abs(columns[:, q]).max()) * float(COUNTS[b].sum())
            off = abs(Fraction(float(found[b, q])) - value)
            worst = max(worst, float(off) / max(most, 5e-324))
    return worst


def test_sums_are_exact_to_the_last_digit_of_a_double() -> None:
    # Fractions; each number is off by at most 2^-55 of its column's largest, and one
    # rounding at the end: under 2^-52 of what was summed.
    columns = RNG.normal(size=(ROWS, 9)) * 10.0 ** RNG.integers(-9, 9, size=9)
    assert error(summed(columns), columns) <= 2.0**-52


@pytest.mark.parametrize(
    "column",
    [
        np.full(ROWS, 1.0),
        np.full(ROWS, -1.0),
        np.linspace(-1.0, 1.0, ROWS),
        np.where(np.arange(ROWS) == 3, -(2.0**20), 2.0**-20),
        np.nextafter(np.full(ROWS, 2.0), 0.0),
        np.zeros(ROWS),
        RNG.normal(size=ROWS) * 1e-200,
        RNG.normal(size=ROWS) * 1e200,
    ],
    ids=["ones", "minus ones", "line", "wide", "below two", "zeros", "tiny", "huge"],
)
def test_no_digit_runs_over(column: np.ndarray) -> None:
    # Fractions: the ends of the range of each digit, the carry into the next.
    columns = np.stack([column, -column], axis=1)
    assert error(summed(columns), columns) <= 2.0**-52


def test_sums_are_the_same_in_any_order() -> None:
    # To the bit, which no sum of floats holds.
    columns = RNG.normal(size=(ROWS, 4))
    order = RNG.permutation(ROWS)
    again = summed(columns[order], COUNTS[:, order])
    np.testing.assert_array_equal(summed(columns), again)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_column_that_is_no_number_spoils_itself_alone(odd: float) -> None:
    columns = RNG.normal(size=(ROWS, 3))
    clean = summed(columns)
    columns[5, 1] = odd
    found = summed(columns)
    assert np.isnan(found[:, 1]).all()
    np.testing.assert_array_equal(found[:, [0, 2]], clean[:, [0, 2]])


def test_several_chunks_share_one_scale() -> None:
    columns = RNG.normal(size=(2, ROWS, 3)) * np.array([1e-3, 1.0])[:, None, None]
    with jax.enable_x64(True):
        parts, worth = digits.split(jnp.asarray(columns))
        assert parts.shape[:2] == (2, ROWS)
        assert parts.shape[2] % digits.LANES == 0
        for part, chunk in zip(parts, columns, strict=True):
            found = np.asarray(digits.sums(jnp.asarray(COUNTS), part, worth))
            np.testing.assert_allclose(found, COUNTS @ chunk, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("model name\t: x\nflags\t\t: fpu avx512_vnni sse\n", True),
        ("flags\t\t: fpu amx_int8\n", True),
        ("flags\t\t: fpu avx2 avx512bw\n", False),
        ("Features\t: fp asimd\n", False),
        (None, False),
    ],
)
def test_which_cpus_multiply_bytes_without_overflow(
    text: str | None, wanted: bool, tmp_path: Path, monkeypatch: Any
) -> None:
    listed = tmp_path / "cpuinfo"
    if text is not None:
        listed.write_text(text)
    monkeypatch.setattr(digits, "Path", lambda _: listed)
    assert digits.is_fast.__wrapped__() is wanted
