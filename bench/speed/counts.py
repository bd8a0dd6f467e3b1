"""Floating-point operations and bytes of one problem, by formula.

The least that an algorithm of this kind must do, not what ours does: an exponential or
a logarithm counts as one, resampling as none, what fits the cache moves no bytes.
"""

from __future__ import annotations

from typing import NamedTuple


class Counts(NamedTuple):
    """Of one problem: operations, bytes to and from memory, precision, the formula."""

    flops: float
    moved: float
    dtype: str
    formula: str


def _solve(p: int) -> float:
    return p**3 / 3 + 2 * p**2


def linear(n: int, p: int, dtype: str = "float32") -> Counts:
    """Weighted least squares on n rows (or cells) as one matrix product a block."""
    q = (p + 1) * (p + 2) // 2
    return Counts(
        2 * n * q + _solve(p),
        8 * p,
        dtype,
        f"2 n q + p^3/3 + 2 p^2; n={n} p={p} q=(p+1)(p+2)/2={q}; 8 p bytes of theta",
    )


def posynomial(n: int, p: int, terms: int, steps: float, dtype: str) -> Counts:
    """Levenberg-Marquardt steps on a log-sum-exp of affine functions."""
    row = 2 * p + 4 * terms + 2 * p + p * (p + 1) + 2 * p + 4
    return Counts(
        steps * (n * row + _solve(p)),
        16 * p,
        dtype,
        f"steps (n (6 p + 4 t + p (p+1) + 4) + p^3/3 + 2 p^2); n={n} p={p} t={terms} "
        f"steps={steps:.1f}, {row} a row; 16 p bytes of theta",
    )


def peak(pixels: int, steps: float) -> Counts:
    """Levenberg-Marquardt steps on a 2-D Gaussian of 5 parameters."""
    p = 5
    row = 20 + p * (p + 1) + 2 * p + 3
    return Counts(
        steps * (pixels * row + _solve(p)),
        4 * (pixels + 2 * p),
        "float32",
        f"steps (pixels (23 + p (p+1) + 2 p) + p^3/3 + 2 p^2); pixels={pixels} p={p} "
        f"steps={steps:.1f}; 4 bytes a pixel, start and answer",
    )


def answers(terms: int, evaluations: int = 26) -> Counts:
    """Optimum and four edges: value, gradient, Hessian of a log-sum-exp each time."""
    return Counts(
        evaluations * 27 * terms,
        8 * (2 + 2 + 4),
        "float64",
        f"evaluations 27 t; t={terms}, evaluations={evaluations} (6 to the optimum, 5 "
        "an edge); 64 bytes of question and answers",
    )
