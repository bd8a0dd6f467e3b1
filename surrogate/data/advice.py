"""Warnings about a table of runs: what a reader of the answers should know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from surrogate.base.defaults import MIN_CELLS_FOR_INTERVALS
from surrogate.data.cells import Cell, Column

MIN_LEVELS = 3
_REPEATS = "more than once with different losses"
_LEAST_RATIO, _MOST_RATIO = 0.1, 1e5
JOINT_WARNING = (
    "No cell varies lr and batch together, only one at a time: how the best lr moves "
    "with batch is presumed and not measured, and so is the optimum over both. Hold "
    "one of them (--batch or --lr), or add runs where both differ from the rest."
)


def cell_warnings(cells: Sequence[Cell]) -> Iterator[str]:
    """Warn of cells that say little, and of too few cells."""
    for what, chosen in (
        ("with one run", [c for c in cells if c.runs == 1]),
        ("with diverged runs only", [c for c in cells if c.diverged == c.runs]),
    ):
        if chosen:
            yield (
                f"{count(len(chosen), 'cell')} {what}, which cannot tell where the "
                f"optimum lies; the first is {chosen[0]}."
            )
    if len(cells) == 1:
        yield (
            f"There is one cell ({cells[0]}): how the optimum moves with params and "
            f"tokens cannot be told."
        )
    if len(cells) < MIN_CELLS_FOR_INTERVALS:
        yield (
            f"There are fewer than {MIN_CELLS_FOR_INTERVALS} cells ({len(cells)}): "
            f"intervals are over runs, the weaker kind."
        )


def level_warnings(name: str, values: Column, most: int) -> Iterator[str]:
    """About a setting whose optimum the runs cannot tell.

    Args:
        name: the setting.
        values: what it takes among the runs that did not diverge.
        most: the largest number of values that it takes within one cell.
    """
    if most >= MIN_LEVELS or not values.size:
        return
    across = np.unique(values)
    if across.size == 1:
        yield (
            f"{name} has one level ({across[0]:g}) in all runs: its optimum cannot be "
            f"told."
        )
    elif most == 1:
        yield (
            f"{name} never varies within a cell, only between cells: its optimum "
            f"cannot be told."
        )
    else:
        yield (
            f"{name} takes at most {most} levels in any cell; its optimum needs "
            f"{MIN_LEVELS}."
        )


def odd_sizes(
    params: Column, tokens: Column, batch: Column
) -> Iterator[tuple[str, np.ndarray]]:
    """What may be a slip of units and is believed all the same, with the runs."""
    ratio = tokens / params
    for what, odd in (
        ("tokens / params under 0.1", ratio < _LEAST_RATIO),
        ("tokens / params over 100,000", ratio > _MOST_RATIO),
        ("a batch above the tokens of the whole training", batch > tokens),
    ):
        if odd.any():
            yield what, np.flatnonzero(odd)


def odd_warning(what: str, named: Sequence[str]) -> str:
    """Warn of runs whose sizes may be in a wrong unit."""
    return (
        f"{count(len(named), 'run')} with {what}, which are read as they stand (check "
        f"the units): {_first(named, 1)}."
    )


def off_pattern_warning(said: Sequence[str]) -> str:
    """Warn of values that look wrong by a factor."""
    return (
        f"{count(len(said), 'value')} off the pattern of the table, read as it stands "
        f"(check the file): {_first(said, 3)}."
    )


def twice_warning(rows: int, first: str) -> str:
    """Warn of runs that a table holds more than once."""
    return (
        f"{count(rows, 'run')} in the table twice, loss and all "
        f"(first: {first}): they count twice. Leave one of each out."
    )


def aside_warning(why: str, named: Sequence[str]) -> str:
    """Warn of runs set aside: neither in the surface nor evidence on stability."""
    return f"{count(len(named), 'run')} set aside {why}: {_first(named, 3)}."


def _first(named: Sequence[str], most: int) -> str:
    """The first of them, and how many more there are."""
    more = len(named) - most
    return "; ".join(named[:most]) + (f"; and {more:,} more" if more > 0 else "")


def repeat_warning(settings: int, first: str) -> str:
    """Warn of settings that ran more than once with different losses."""
    return (
        f"{count(settings, 'setting')} of recipe, params, tokens, lr and batch ran "
        f"{_REPEATS} (first: {first}). Unless these are "
        f"seeds, a recipe column is missing: name it with --recipe COLUMN."
    )


def is_repeat_warning(text: str) -> bool:
    """Whether this is what `repeat_warning` says."""
    return _REPEATS in text


def count(number: int, noun: str) -> str:
    """A number of things: "1 cell", "2 cells"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
