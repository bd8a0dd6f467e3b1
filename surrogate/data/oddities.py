"""What in a table of runs looks like a slip: by row, field and reason, never an error.

A table is read as it stands; these are warnings, so that one wrong number does not turn
an answer silently.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from surrogate.data import off_pattern
from surrogate.data.cells import Cell, Rows
from surrogate.data.off_pattern import Numbers, Odd

# Sizes of a cell whose tokens / params all others share [ln], and a factor off it.
_ONE_RATIO, _OFF_RATIO, _OFF_OF_THREE = 0.1, 2.9, 8.0
_LEAST_CELLS = 3
# A guess at random costs ln(vocabulary): 12.5 nats at 262,144 words.
_MOST_NATS = 13.0
# Significant digits with which two runs do not tie by chance; rows that make a habit.
_DIGITS, _TWICE = 4, 0.25
_LEAST_RISE = 0.8


def by_setting(cell: Rows, lr: Numbers, batch: Numbers) -> list[Odd]:
    """Rows whose lr or batch is off the pattern of its column.

    Args:
        cell: of each row.
        lr: levels.
        batch: tokens a step.
    """
    ones = np.ones(len(lr), dtype=np.int64)
    found = off_pattern.holes("lr", lr, _numbered(cell, batch), ones)
    found += off_pattern.holes("batch", batch, _numbered(cell, lr), ones)
    found += off_pattern.strays("lr", lr)
    alone = off_pattern.apart(batch, off_pattern.FACTORS[0])
    if alone is not None:
        said = f"all other rows have {float(np.median(batch)):.6g}"
        found.append(Odd(alone, "batch", said))
    halves = off_pattern.two_units(batch)
    return _once([*found, *(halves or off_pattern.strays("batch", batch))])


def by_size(
    cell: Rows, lr: Numbers, batch: Numbers, sizes: Sequence[Cell]
) -> list[Odd]:
    """Cells whose params or tokens are off, each by its first row."""
    first = [int(np.flatnonzero(cell == k)[0]) for k in range(len(sizes))]
    params = np.array([c.params for c in sizes])
    tokens = np.array([c.tokens for c in sizes])
    count = np.array([c.runs for c in sizes], dtype=np.int64)
    kind = _numbered(np.array([_kind(c) for c in sizes]))
    found = [
        *_swapped(params, tokens),
        *_lonely(params, tokens, kind, count, (cell, lr, batch)),
        *off_pattern.holes("params", params, _numbered(kind, tokens), count),
        *off_pattern.holes("tokens", tokens, _numbered(kind, params), count),
        *_off_ratio(params, tokens),
        *_ratio_lacking(params, tokens, kind),
    ]
    for field, own, other in (("params", params, tokens), ("tokens", tokens, params)):
        alone = off_pattern.apart(own[cell])
        if alone is not None and np.ptp(other) == 0:
            said = f"all other rows have {float(np.median(own[cell])):.6g}"
            found.append(Odd(int(cell[alone]), field, said))
    return [Odd(first[odd.row], odd.field, odd.said) for odd in _once(found)]


def _kind(cell: Cell) -> str:
    """What a cell is beside its sizes."""
    return repr((cell.recipe, cell.scales))


def _swapped(params: Numbers, tokens: Numbers) -> Iterator[Odd]:
    """Cells of more params than tokens, which others would have the other way."""
    ratio = np.log(tokens / params)
    for k in range(len(params)):
        others = np.delete(ratio, k)
        pair = (params == tokens[k]) & (tokens == params[k])
        if ratio[k] < 0 and pair.any():
            said = f"params and tokens of another cell ({tokens[k]:.4g}), swapped?"
            yield Odd(k, "params", said)
            continue
        if len(others) < _LEAST_CELLS - 1 or ratio[k] >= 0 or others.min() <= 0:
            continue
        if others.min() - math.log(2) <= -ratio[k] <= others.max() + math.log(2):
            said = (
                f"params {params[k]:.4g} above tokens {tokens[k]:.4g}, where all other "
                "cells have them the other way: swapped?"
            )
            yield Odd(k, "params", said)


def _off_ratio(params: Numbers, tokens: Numbers) -> Iterator[Odd]:
    """The one cell whose tokens / params is none of the others'."""
    ratio = np.log(tokens / params)
    if len(ratio) < _LEAST_CELLS:
        return
    least = math.log(_OFF_RATIO if len(ratio) > _LEAST_CELLS else _OFF_OF_THREE)
    for k in (int(ratio.argmin()), int(ratio.argmax())):
        others = np.delete(ratio, k)
        off = float(np.abs(ratio[k] - others).min())
        is_one = bool(np.ptp(others) < _ONE_RATIO) and off > least
        if is_one or any(
            odd.row == k for odd in off_pattern.strays("", np.exp(ratio), 1)
        ):
            said = (
                f"tokens / params {math.exp(ratio[k]):.3g}, where the other cells have "
                f"{math.exp(others.min()):.3g} to {math.exp(others.max()):.3g} (params "
                f"{params[k]:.4g}, tokens {tokens[k]:.4g})"
            )
            yield Odd(k, "tokens", said)


def _ratio_lacking(params: Numbers, tokens: Numbers, kind: Rows) -> Iterator[Odd]:
    """Cells of a tokens / params that all other sizes have, but for a factor."""
    ratio = np.log(tokens / params)
    for k in range(len(ratio)):
        alike = kind == kind[k]
        others = alike & (params != params[k])
        least = max(_LEAST_CELLS, 0.8 * len(np.unique(params[others])))
        if (np.abs(np.delete(ratio, k) - ratio[k]) < _ONE_RATIO).any():
            continue
        for factor in (f**sign for f in off_pattern.FACTORS for sign in (1, -1)):
            same = np.abs(ratio - (ratio[k] - math.log(factor))) < 0.01
            if (same & others).sum() >= least and not (same & alike & ~others).any():
                said = (
                    f"tokens / params {math.exp(ratio[k]):.4g} is {factor:.4g} times "
                    f"what the other sizes have, and this one (params {params[k]:.4g}) "
                    "lacks"
                )
                yield Odd(k, "tokens", said)


def _lonely(
    params: Numbers,
    tokens: Numbers,
    kind: Rows,
    count: Rows,
    rows: tuple[Rows, Numbers, Numbers],
) -> Iterator[Odd]:
    """Single runs whose place in the grid of another cell is empty but for a factor."""
    cell, lr, batch = rows
    for k in np.flatnonzero(count == 1).tolist():
        row = int(np.flatnonzero(cell == k)[0])
        for field, own, other in (
            ("params", params, tokens),
            ("tokens", tokens, params),
        ):
            for j in np.flatnonzero(
                (kind == kind[k]) & (count > _LEAST_CELLS)
            ).tolist():
                factor = own[k] / own[j]
                is_slip = any(
                    abs(abs(math.log(factor)) - math.log(f)) < 0.01
                    for f in off_pattern.FACTORS
                )
                if not is_slip or abs(other[k] / other[j] - 1) > 0.01:
                    continue
                if _is_missing(cell == j, lr, batch, row):
                    said = (
                        f"{own[k]:.4g} is {factor:.4g} times {own[j]:.4g}, where a run "
                        "of this lr and batch is missing"
                    )
                    yield Odd(k, field, said)


def _is_missing(there: np.ndarray, lr: Numbers, batch: Numbers, row: int) -> bool:
    """Whether a grid lacks a row's lr and batch, though it has each, or in its gap."""
    beside = there & (batch == batch[row])
    if not beside.any() or (lr[beside] == lr[row]).any():
        return False
    line = np.unique(np.log(lr[beside]))
    is_level = bool((lr[there] == lr[row]).any())
    return is_level or off_pattern.fills_gap(line, math.log(lr[row]))


def _numbered(*columns: np.ndarray) -> Rows:
    """A number for each different combination."""
    table = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        _, part = np.unique(column, return_inverse=True)
        _, table = np.unique(table * (part.max() + 1) + part, return_inverse=True)
    return table.astype(np.int64)


def _once(found: Sequence[Odd]) -> list[Odd]:
    """The first reason of each row."""
    rows: dict[int, Odd] = {}
    for odd in found:
        rows.setdefault(odd.row, odd)
    return list(rows.values())


def twice(columns: Mapping[str, np.ndarray], loss: Numbers) -> Rows:
    """Rows that repeat an earlier one to the last digit, where that is a habit.

    Args:
        columns: all settings, recipe and scales.
        loss: finite, or nan.
    """
    key = _numbered(*columns.values(), np.nan_to_num(loss, nan=-1.0))
    _, first = np.unique(key, return_index=True)
    again = np.setdiff1d(np.arange(len(loss)), first)
    copies = np.zeros(len(loss), dtype=bool)
    copies[again] = [_digits(float(loss[r])) >= _DIGITS for r in again]
    return np.flatnonzero(copies & is_habit(copies, loss)).astype(np.int64)


def is_habit(copies: np.ndarray, loss: Numbers) -> bool:
    """Whether rows that repeat earlier ones are too many for chance.

    Args:
        copies: which rows do.
        loss: of all rows; of few digits two runs may share one.
    """
    exact = sum(_digits(float(value)) >= _DIGITS for value in loss[copies])
    return bool(exact >= max(2, _TWICE * np.unique(loss).size))


def _digits(value: float) -> int:
    return len(repr(value).replace(".", "").strip("0")) if math.isfinite(value) else 0


def not_a_loss(
    cell: Rows, lr: Numbers, loss: Numbers, usable: np.ndarray, sizes: Sequence[Cell]
) -> str | None:
    """Why the values of the loss column are no mean loss of a language model, if so."""
    finite = loss[np.isfinite(loss)]
    if not finite.size:
        return None
    middle = float(np.median(finite))
    if middle > _MOST_NATS:
        return (
            f"half of the values are above {middle:.4g}, and a guess at random costs "
            f"about 11 nats a token: a sum over tokens or a batch, per cent, or "
            f"perplexity (--loss-unit perplexity)?"
        )
    if finite.max() <= 1 and _rises(cell, lr, loss, usable, sizes):
        return (
            "the values are at most 1 and higher where a loss is lower (at larger "
            "sizes, or between the ends of lr): accuracy?"
        )
    return None


def _rises(
    cell: Rows, lr: Numbers, loss: Numbers, usable: np.ndarray, sizes: Sequence[Cell]
) -> bool:
    """Whether values grow with the cells' sizes, or have their top inside in lr."""
    work = np.log([c.params for c in sizes]) + np.log([c.tokens for c in sizes])
    best = np.array([np.median(loss[cell == k]) for k in range(len(sizes))])
    if len(sizes) >= _LEAST_CELLS and np.ptp(work) > 0 and np.ptp(best) > 0:
        return bool(np.corrcoef(work, best)[0, 1] > _LEAST_RISE)
    tops = [_has_top(lr[rows], loss[rows]) for rows in _lines(cell, usable)]
    return bool(tops) and sum(tops) > len(tops) / 2


def _lines(cell: Rows, usable: np.ndarray) -> list[Rows]:
    return [np.flatnonzero((cell == k) & usable) for k in np.unique(cell)]


def _has_top(lr: Numbers, loss: Numbers) -> bool:
    """Whether the values rise and then fall along lr, over at least four levels."""
    levels = np.unique(lr)
    if len(levels) < 4:
        return False
    curve = np.array([loss[lr == level].mean() for level in levels])
    turns = np.diff(np.sign(np.diff(curve)))
    return bool(0 < curve.argmax() < len(curve) - 1 and (turns != 0).sum() == 1)
