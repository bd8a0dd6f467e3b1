"""Settings and sizes far off the pattern of their column: slips of a factor.

A slip leaves two traces: a value that nothing else in its column has (or that is there
twice), and a hole in the grid where the value without the factor belongs. A value far
from all others of its column is odd without a hole, too.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from surrogate.base.shapes import Float64
from surrogate.data.cells import Rows

# An anonymous axis: rows, cells, or the levels of a line.
Numbers: TypeAlias = Float64[np.ndarray, " _"]

# Units and slips: a digit, per cent, thousands, sequences of usual lengths, millions.
FACTORS = (10.0, 100.0, 1e3, 1024.0, 2048.0, 4096.0, 8192.0, 1e6, 1e9)
# A value without its factor is that of the grid [ln]: roundings to three digits.
_SAME = 0.01
# The grid has a level if so large a share of its other lines do.
_USUAL = 0.6
# Levels of a line beside the odd one, and of a regular line of its own.
_LEAST_LEVELS, _LEAST_REGULAR = 2, 5
# A value is far from the rest by this factor, and by so many of their largest gaps.
_FAR, _GAPS = 8.0, 2.5
# Of settings, those that ran twice, where twice means a slip.
_FEW_TWICE = 0.1
# Between neighbouring batches of one table: a factor that no sweep leaves out.
_TWO_UNITS = 64.0
_LEAST_BATCH, _MOST_BATCH = 8192, 2**25
# Of rows, those that a group of odd values has at most, and the most of a few rows.
_MINORITY, _ALWAYS_FEW = 0.1, 2


@dataclass(frozen=True)
class Odd:
    """A row whose value is off the pattern.

    Attributes:
        row: which.
        field: the name of lr, batch, params or tokens.
        said: why, for people.
    """

    row: int
    field: str
    said: str


@dataclass(frozen=True)
class _Grid:
    """Points as one field moves while all others stand still.

    Attributes:
        level: ln of the field's level of each point.
        line: which points share all other fields, a number each.
        size: rows of each point.
    """

    level: Numbers
    line: Rows
    size: Rows


def holes(field: str, level: Numbers, line: Rows, size: Rows) -> list[Odd]:
    """Points that a factor of FACTORS would move into a hole of the grid.

    Args:
        field: which it is.
        level: the field's level of each point.
        line: a number for each set of points that differ in this field alone.
        size: rows of each point; 1 where points are rows.

    Returns:
        `row` counts points.
    """
    grid = _Grid(np.log(level), line, size)
    members = {k: np.flatnonzero(line == k) for k in np.unique(line).tolist()}
    wide = [
        rows
        for rows in members.values()
        if len(_distinct(grid.level[rows])) >= _LEAST_LEVELS
    ]
    counts = Counter(np.round(grid.level, 6).tolist())
    pairs = Counter(zip(line.tolist(), np.round(grid.level, 6).tolist(), strict=True))
    few_twice = sum(n > 1 for n in pairs.values()) <= max(1, _FEW_TWICE * len(pairs))
    # Of several points that would fill one hole, one that is there twice, then the
    # least factor.
    found: dict[tuple[int, float], tuple[bool, float, int]] = {}
    for point in range(len(level)):
        value = round(float(grid.level[point]), 6)
        twice = pairs[int(line[point]), value] > 1
        if not (counts[value] == 1 or (twice and few_twice)):
            continue
        own = members[int(line[point])]
        factor = _into_hole(grid, point, own[own != point], wide)
        if factor is not None:
            hole = int(line[point]), round(value - math.log(factor), 2)
            reason = (not twice, abs(math.log(factor)), point)
            found[hole] = min(found.get(hole, reason), reason)
    return [
        Odd(point, field, _said(math.exp(x), float(level[point]), not once))
        for (_, meant), (once, _, point) in found.items()
        for x in (float(grid.level[point]) - meant,)
    ]


def _into_hole(
    grid: _Grid, point: int, own: Rows, lines: Sequence[Rows]
) -> float | None:
    """The factor without which a point would fill a hole of its line, if any.

    A hole is a level that most other lines have, or the one gap of a regular line.
    """
    there = _distinct(grid.level[own])
    if len(there) < _LEAST_LEVELS:
        return None
    line = grid.line[point]
    others = [rows for rows in lines if grid.line[rows[0]] != line]
    for factor in (f**sign for f in FACTORS for sign in (1, -1)):
        meant = float(grid.level[point]) - math.log(factor)
        if (np.abs(there - meant) < _SAME).any():
            continue
        have = sum(
            bool((np.abs(grid.level[rows] - meant) < _SAME).any()) for rows in others
        )
        is_usual = have >= max(_LEAST_LEVELS, _USUAL * len(others))
        if is_usual or fills_gap(there, meant):
            return factor
    return None


def fills_gap(there: Numbers, meant: float) -> bool:
    """Whether a value is the one that a regular line lacks [ln, ascending]."""
    if len(there) < _LEAST_REGULAR:
        return False
    if _completes_decades(there, meant):
        return True
    steps = np.diff(there)
    step = float(np.median(steps))
    wide = np.flatnonzero(steps > 1.5 * step)
    if len(wide) != 1:
        return False
    even = np.abs(np.delete(steps, wide) - step).max() < 0.05 * step
    middle = (there[wide[0]] + there[wide[0] + 1]) / 2
    is_double = abs(steps[wide[0]] - 2 * step) < 0.1 * step
    return bool(even and is_double and abs(meant - middle) < 0.05 * step)


def _completes_decades(there: Numbers, meant: float) -> bool:
    """Whether a value is the one that a line of 1, 2, 5, 10, 20, ... lacks."""
    digits = Counter(_digits(x) for x in there)
    if min(digits.values()) < 2 and len(digits) > 1 + sum(
        n > 1 for n in digits.values()
    ):
        return False
    powers = range(
        math.floor(there[0] / math.log(10)), math.ceil(there[-1] / math.log(10)) + 1
    )
    wanted = [math.log(d) + k * math.log(10) for d in digits for k in powers]
    lacking = [
        x
        for x in wanted
        if there[0] < x < there[-1] and (np.abs(there - x) > _SAME).all()
    ]
    return len(lacking) == 1 and abs(lacking[0] - meant) < _SAME


def _digits(x: float) -> float:
    """The leading digits of exp(x), two of them, from 1 to 9.9."""
    power = x / math.log(10)
    return round(10 ** (power - math.floor(power + 1e-9)), 1)


def apart(value: Numbers, least: float = FACTORS[1]) -> int | None:
    """The one row whose value is a factor of FACTORS off the one that all others have.

    Not by a factor under `least`: a last run that is 10 times longer may be meant.
    """
    distinct, counts = np.unique(value, return_counts=True)
    if len(distinct) != 2 or counts.min() > 1 or counts.max() < _LEAST_REGULAR:
        return None
    off = abs(math.log(distinct[1] / distinct[0]))
    is_slip = any(abs(off - math.log(f)) < _SAME for f in FACTORS if f >= least)
    return (
        int(np.flatnonzero(value == distinct[counts.argmin()])[0]) if is_slip else None
    )


def strays(field: str, level: Numbers, few: int = _ALWAYS_FEW) -> list[Odd]:
    """Rows of few that lie far below or above all others of their column."""
    x = np.log(level)
    distinct = _distinct(x)
    gaps = np.diff(distinct)
    if len(gaps) < _LEAST_LEVELS + 1:
        return []
    k = int(gaps.argmax())
    rest = float(np.delete(gaps, k).max())
    if gaps[k] < max(math.log(_FAR), _GAPS * rest):
        return []
    middle = (distinct[k] + distinct[k + 1]) / 2
    below = x < middle
    rows = np.flatnonzero(below if below.sum() <= len(x) / 2 else ~below)
    if len(rows) > max(few, _MINORITY * len(x)):
        return []
    side, edge = (
        ("below", distinct[k + 1]) if below[rows[0]] else ("above", distinct[k])
    )
    return [
        Odd(
            int(row),
            field,
            f"a factor of {math.exp(abs(x[row] - edge)):.3g} {side} all others of its "
            "column",
        )
        for row in rows
    ]


def two_units(batch: Numbers) -> list[Odd]:
    """The first of the batches in sequences where others are in tokens, if there are.

    Of the two groups the smaller one is named.
    """
    x = np.log(batch)
    distinct = _distinct(x)
    if len(distinct) < 2:
        return []
    gaps = np.diff(distinct)
    k = int(gaps.argmax())
    rest = float(np.delete(gaps, k).max()) if len(gaps) > 1 else 0.0
    low, high = math.exp(distinct[k]), math.exp(distinct[k + 1])
    # No run has so few tokens a step, or so many.
    is_odd = low < _LEAST_BATCH or high > _MOST_BATCH
    is_wide = gaps[k] >= math.log(_TWO_UNITS)
    is_gap = gaps[k] >= max(math.log(2 * _FAR), _GAPS * rest)
    if not (is_wide or (is_odd and is_gap)):
        return []
    below = x < (distinct[k] + distinct[k + 1]) / 2
    is_low = bool(below.mean() <= 0.5)
    rows = np.flatnonzero(below if is_low else ~below)
    said = (
        f"a factor of {high / low:.4g} {'below' if is_low else 'above'} the next batch "
        f"of the table: sequences and tokens mixed? ({len(rows)} of {len(batch)} rows "
        "are so)"
    )
    return [Odd(int(rows[0]), "batch", said)]


def _distinct(x: Numbers) -> Numbers:
    """Ascending, roundings of one value once."""
    ordered = np.unique(x)
    if not ordered.size:
        return ordered
    return ordered[np.append(True, np.diff(ordered) > _SAME)]


def _said(factor: float, value: float, twice: bool) -> str:
    """Why a value is odd: what it would be without the factor."""
    near = min(FACTORS, key=lambda f: abs(abs(math.log(factor)) - math.log(f)))
    meant = value / near if factor > 1 else value * near
    times = f"{near:,.0f} times" if factor > 1 else f"1/{near:,.0f} of"
    also = " and its own value is there twice" if twice else ""
    return f"{times} {meant:.4g}, which is missing at these other settings{also}"
