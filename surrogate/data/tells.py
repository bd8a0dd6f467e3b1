"""What a table of runs can tell, what it cannot, and what would mend that."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from surrogate.base.defaults import MIN_CELLS_FOR_INTERVALS
from surrogate.base.units import format_count
from surrogate.data.advice import MIN_LEVELS, count
from surrogate.data.cells import Column
from surrogate.data.table import Runs

# So far beyond the largest size fitted an answer is still near the data.
_REACH = 3.0
# An edge is worth a word where so large a share of the cells is best there.
_SHARE_AT_EDGE = 0.25
# Fewer cells than this say nothing of how the optimum moves with size.
_CELLS_FOR_TRENDS = 3
# What a missing level of a setting is best put at: so many times a neighbour's.
_STEP = 2.0


class Tells(NamedTuple):
    """Sentences for people.

    Attributes:
        can: what the runs tell.
        cannot: what they do not.
        do: what to run next.
        is_few: whether a fit of others' runs is worth asking beside one's own.
    """

    can: tuple[str, ...]
    cannot: tuple[str, ...]
    do: tuple[str, ...]
    is_few: bool


def tells(runs: Runs) -> Tells:
    """Judge a table by its levels within cells, its edges and its sizes."""
    known = runs.identifiable()
    can: list[str] = []
    cannot: list[str] = []
    do: list[str] = []
    for name, values, form in (
        ("lr", runs.lr_level, _lr),
        ("batch", runs.batch, _tokens),
    ):
        _setting(runs, name, values, form, known[name], (can, cannot, do))
    if known["lr"] and known["batch"] and not known["lr_batch"]:
        cannot.append("how the best lr moves with batch: no cell varies both at once")
        do.append("add runs where lr and batch both differ from the rest of their cell")
    _sizes(runs, known, (can, cannot, do))
    is_few = len(runs.cells) < MIN_CELLS_FOR_INTERVALS or not (
        known["lr"] and known["batch"]
    )
    return Tells(tuple(can), tuple(cannot), tuple(do), is_few)


Lists = tuple[list[str], list[str], list[str]]


def _setting(
    runs: Runs,
    name: str,
    values: Column,
    form: Callable[[float], str],
    is_known: bool,
    lists: Lists,
) -> None:
    """Whether the best lr, or the best batch, is told, and where its grid ends."""
    can, cannot, do = lists
    levels = runs.levels_within_cells(values)
    enough = int((levels >= MIN_LEVELS).sum())
    if not is_known:
        most = int(levels.max()) if levels.size else 0
        cannot.append(
            f"the best {name}: at most {count(most, 'level')} in any cell, it needs "
            f"{MIN_LEVELS}"
        )
        top = float(values[runs.usable].max()) if runs.usable.any() else None
        if top is not None:
            near = f"{form(top / _STEP)} and {form(top * _STEP)}"
            do.append(f"add {name} {near} to a cell that has {name} {form(top)}")
        return
    can.append(f"the best {name}, from {count(enough, 'cell')} of {len(runs.cells)}")
    for side, what in ((1, "largest"), (-1, "smallest")):
        ends = _at_edge(runs, values, side)
        if len(ends) <= _SHARE_AT_EDGE * enough:
            continue
        beyond = "above" if side > 0 else "below"
        cannot.append(
            f"how far {beyond} its grid the best {name} lies: {len(ends)} of {enough} "
            f"cells are best at their {what} {name}"
        )
        end = (max if side > 0 else min)(ends)
        do.append(f"add {name} {form(end * _STEP**side)} to those cells")


def _at_edge(runs: Runs, values: Column, side: int) -> list[float]:
    """Of cells with enough levels that are best at an end of them, that end."""
    found = []
    for cell in range(len(runs.cells)):
        own = (runs.cell == cell) & runs.usable
        levels = np.unique(values[own])
        if len(levels) < MIN_LEVELS:
            continue
        tried = values[(runs.cell == cell) & (runs.usable | runs.diverged)]
        end = float(tried.max() if side > 0 else tried.min())
        best = float(values[own][np.argmin(runs.loss[own])])
        if abs(np.log(best / end)) < 1e-6:
            found.append(end)
    return found


def _sizes(runs: Runs, known: dict[str, bool], lists: Lists) -> None:
    """How the optimum moves with size, how surely, and how far that reaches."""
    can, cannot, do = lists
    cells = len(runs.cells)
    moving = [name for name in ("params", "tokens") if known[name]]
    fixed = [name for name in ("params", "tokens") if not known[name]]
    if moving and cells >= _CELLS_FOR_TRENDS:
        ends = [
            f"{name} {format_count(_end(runs, name, min))} to "
            f"{format_count(_end(runs, name, max))}"
            for name in moving
        ]
        can.append(f"how they move with {' and '.join(ends)}")
        reach = [f"{format_count(_REACH * _end(runs, n, max))} {n}" for n in moving]
        cannot.append(f"much beyond {' or '.join(reach)}: an extrapolation")
    elif moving:
        fixed = ["size"]
    if fixed:
        cannot.append(f"how the best settings move with {' and '.join(fixed)}")
        what = "sizes" if fixed == ["size"] else f"values of {' and '.join(fixed)}"
        do.append(f"repeat the grid at {_CELLS_FOR_TRENDS} or more {what}")
    if cells < MIN_CELLS_FOR_INTERVALS:
        cannot.append(
            f"how sure the answers are: {count(cells, 'cell')}, "
            f"{MIN_CELLS_FOR_INTERVALS} give intervals over cells"
        )
        if not fixed:
            do.append(f"add {count(MIN_CELLS_FOR_INTERVALS - cells, 'cell')}")


def _end(runs: Runs, name: str, end: Callable[[list[float]], float]) -> float:
    values: Column = getattr(runs, name)
    return float(end(values[runs.usable].tolist()))


def _tokens(value: float) -> str:
    """In Ki where that is exact, as batches are typed."""
    whole = round(value)
    return f"{whole // 1024}Ki" if whole % 1024 == 0 else format_count(value)


def _lr(value: float) -> str:
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
