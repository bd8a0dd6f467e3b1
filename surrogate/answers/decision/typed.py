"""Settings that a person types: round numbers inside a box."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from surrogate.base.shapes import Float64

# A rounder setting is taken where it costs less than this share of the tolerance, and
# no more of the loss than this.
ENOUGH, MOST = 0.08, 2e-4
# Of a box that hardly is one.
_MOST_DIGITS = 9

Interval = tuple[float, float]
Cost = Callable[
    [Float64[np.ndarray, " m"], Float64[np.ndarray, " m"]], Float64[np.ndarray, " m"]
]


class Typed(NamedTuple):
    """A setting as it is typed.

    Attributes:
        lr: peak learning rate.
        batch: tokens per optimiser step.
        regret: what rounding costs.
    """

    lr: float
    batch: float
    regret: float


def round_setting(
    lr: Interval,
    batch: Interval,
    cost: Cost,
    *,
    tol: float,
    multiple: float | None = None,
    seq_len: float | None = None,
) -> Typed | None:
    """The roundest setting of a box that costs next to nothing; None of an empty box.

    Learning rates of one digit go before those of two, batches 2^k before 3 x 2^k
    tokens (or those times `multiple`); where the box holds no such batch, the fewest
    digits that it holds, as a multiple of the sequence length where one is known.

    Args:
        lr: smallest and largest; equal where it is given, and then not rounded.
        batch: likewise [tokens].
        cost: regret of settings.
        tol: of the plateau.
        multiple: the batch is a multiple of this [tokens].
        seq_len: tokens a sequence, if known.
    """
    if not (lr[0] <= lr[1] and batch[0] <= batch[1]):
        return None
    unit = multiple or 1.0
    rates = _tiers(lr, [rounded(lr, n) for n in (1, 2)])
    sizes = _tiers(batch, [doublings(batch, unit, n) for n in (1, 3)])
    best: Typed | None = None
    for some, tier in product(rates, sizes):
        found = _cheapest(some, tier, cost)
        if found is None:
            continue
        if found.regret <= min(ENOUGH * tol, MOST):
            return found
        best = found if best is None or found.regret < best.regret else best
    if best is not None:
        return best
    unit = multiple or _length(batch, seq_len)
    (some,) = _tiers(lr, [_fewest(lambda n: rounded(lr, n))])
    (tier,) = _tiers(batch, [_fewest(lambda n: multiples(batch, unit, n))])
    return _cheapest(some, tier, cost)


def is_typable(lr: Interval) -> bool:
    """Whether a range holds an lr of two digits at most, or is a given one."""
    return lr[0] == lr[1] or bool(rounded(lr, 2))


def _tiers(ends: Interval, round_ones: list[list[float]]) -> list[list[float]]:
    """What is tried of a setting, the roundest first; one that is given stays."""
    return [[ends[0]]] if ends[0] == ends[1] else round_ones


def _fewest(numbers: Callable[[int], list[float]]) -> list[float]:
    """Numbers of the fewest digits, two at least, of which there are any."""
    for digits in range(2, _MOST_DIGITS + 1):
        found = numbers(digits)
        if found:
            return found
    return []


def _length(batch: Interval, seq_len: float | None) -> float:
    """Tokens a sequence, where at least one fits."""
    return seq_len if seq_len and seq_len <= batch[1] else 1.0


def _cheapest(lr: Sequence[float], batch: Sequence[float], cost: Cost) -> Typed | None:
    if not len(lr) or not len(batch):
        return None
    rates, sizes = (part.ravel() for part in np.meshgrid(np.array(lr), np.array(batch)))
    costs = np.where(np.isfinite(found := cost(rates, sizes)), found, np.inf)
    k = int(np.argmin(costs))
    if not np.isfinite(costs[k]):
        return None
    return Typed(float(rates[k]), float(sizes[k]), max(float(costs[k]), 0.0))


def rounded(ends: Interval, digits: int) -> list[float]:
    """Every number of so many significant digits between two ends, in order."""
    low, high = ends
    found: list[float] = []
    for power in range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1):
        exponent = power - digits + 1
        first = max(math.ceil(low / 10.0**exponent * (1 - 1e-12)), 10 ** (digits - 1))
        last = min(math.floor(high / 10.0**exponent * (1 + 1e-12)), 10**digits - 1)
        found += [float(f"{n}e{exponent}") for n in range(first, last + 1)]
    return [value for value in found if low <= value <= high]


def doublings(ends: Interval, unit: float, factor: int) -> list[float]:
    """Every `factor` x 2^k x `unit` between two ends, k from 0 on."""
    low, high = ends
    step = factor * unit
    first = max(math.ceil(math.log2(low / step) - 1e-12), 0)
    found = []
    while (value := step * 2.0**first) <= high:
        found += [value] if value >= low else []
        first += 1
    return found


def multiples(ends: Interval, unit: float, digits: int) -> list[float]:
    """Multiples of `unit` between two ends whose count has so many digits."""
    low, high = ends
    if high < unit:
        return []
    counts = rounded((max(low / unit, 1.0), high / unit), digits)
    return sorted(
        {n * unit for n in counts if n.is_integer() and low <= n * unit <= high}
    )
