"""The few distributions that answers need, without the second that SciPy takes to load.

Source: Abramowitz and Stegun 1964, 26.7.3 and 26.7.4, for Student's t.
"""

from __future__ import annotations

import math

import numpy as np

from surrogate.base.shapes import Float64


def logistic(logit: np.ndarray | np.float64 | float) -> np.ndarray | np.float64:
    """Probability of a logit."""
    odds = np.exp(-np.abs(logit))
    return np.where(np.asarray(logit) >= 0, 1.0, odds) / (1.0 + odds)


def coin(count: int, throws: int) -> float:
    """Probability of so many heads or more of a fair coin."""
    ways = sum(math.comb(throws, k) for k in range(max(count, 0), throws + 1))
    return ways / 2**throws


def student(probability: float, freedom: int) -> float:
    """Quantile of Student's t; NaN without a degree of freedom.

    With t = sqrt(freedom) tan(angle) the probability of |t| is a finite sum, which
    Newton's method, kept within a bracket, solves for the angle.
    """
    if freedom < 1 or not 0 < probability < 1:
        return math.nan
    if probability < 0.5:
        return -student(1 - probability, freedom)
    goal = 2 * probability - 1
    factors = _factors(freedom)
    low, high, angle = 0.0, 0.5 * math.pi, math.atan(2 / math.sqrt(freedom))
    for _ in range(100):
        miss = _within(angle, freedom, factors) - goal
        low, high = (angle, high) if miss < 0 else (low, angle)
        step = angle - miss / _density(angle, freedom)
        step = step if low < step < high else 0.5 * (low + high)
        if abs(step - angle) <= 1e-16 * angle:
            break
        angle = step
    return math.sqrt(freedom) * math.tan(angle)


def _factors(freedom: int) -> Float64[np.ndarray, " _"]:
    """Of the powers of the cosine, from the lowest on, two apart."""
    first = 2 + freedom % 2
    k = np.arange(first, freedom - 1, 2, dtype=np.float64)
    return np.cumprod(np.append(1.0, (k - 1) / k))


def _within(angle: float, freedom: int, factors: Float64[np.ndarray, " _"]) -> float:
    """Probability that t lies no farther out than the angle on either side."""
    cosine, is_odd = math.cos(angle), freedom % 2
    powers = cosine ** (is_odd + 2.0 * np.arange(len(factors)))
    total = math.sin(angle) * float(factors @ powers)
    if not is_odd:
        return total
    return 2 / math.pi * (angle + (total if freedom > 1 else 0.0))


def _density(angle: float, freedom: int) -> float:
    """Slope of `_within`."""
    log_beta = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    ratio = math.exp(log_beta) / math.sqrt(math.pi)
    return 2 * ratio * math.cos(angle) ** (freedom - 1)
