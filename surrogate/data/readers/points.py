"""Read points to predict at: the settings of runs that have no loss yet.

Unlike runs, a row that cannot be used is kept with its reason: whoever asked for a
thousand predictions gets a thousand rows back.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from surrogate.base.errors import DataError
from surrogate.base.shapes import Float64
from surrogate.base.units import quote
from surrogate.data import SETTINGS, row_fault
from surrogate.data.readers.columns.roles import ALIASES, fold
from surrogate.data.readers.formats.choose import read_any
from surrogate.data.readers.formats.csv import Table, parse_cell

Column = Float64[np.ndarray, " points"]


@dataclass(frozen=True, eq=False)
class Points:
    """A table of points, in the order of the file.

    Attributes:
        file: the path as it was given.
        header: the columns of the file.
        rows: every row's cells as text, blanks around them removed.
        reasons: why a row cannot be used, "" where it can.
        lr: peak learning rate; nan, like the other numbers, where a row has a reason.
        batch: batch size [tokens per optimiser step].
        params: number of parameters.
        tokens: training tokens.
        scales: further scale variables that the file has.
        recipe: the recipe of each row, or None where the file has no such column.
    """

    file: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    reasons: tuple[str, ...]
    lr: Column
    batch: Column
    params: Column
    tokens: Column
    scales: dict[str, Column]
    recipe: tuple[str, ...] | None


def read_points(
    path: str | os.PathLike[str], *, scales: Collection[str] = ()
) -> Points:
    """Read a CSV file with columns lr, batch (tokens), params, tokens [, recipe].

    Args:
        path: the file.
        scales: further scale variables that the fit has; read where the file has a
            column of that name.

    Raises:
        DataError: if the file is no table, a row has another length than the header,
            or a setting has no column or two.
    """
    table = read_any(path)
    if table.dropped:
        raise DataError(
            f"{table.dropped[0]}. Its cells cannot be told apart, so nothing was "
            "predicted. Correct the row."
        )
    places = {name: _place(table, name) for name in SETTINGS}
    for name in scales:
        if name in table.header:
            places[name] = table.header.index(name)
    values = {name: np.full(len(table.rows), math.nan) for name in places}
    reasons = []
    for k, row in enumerate(table.rows):
        numbers, reason = _numbers(row.fields, places)
        reasons.append(reason)
        if not reason:
            for name, number in numbers.items():
                values[name][k] = number
    return Points(
        file=table.file,
        header=table.header,
        rows=tuple(row.fields for row in table.rows),
        reasons=tuple(reasons),
        recipe=_recipe(table),
        scales={name: values[name] for name in places if name not in SETTINGS},
        **{name: values[name] for name in SETTINGS},
    )


def _place(table: Table, role: str) -> int:
    """The one column of a setting."""
    found = [k for k, name in enumerate(table.header) if fold(name) in ALIASES[role]]
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(quote(table.header[k]) for k in found)
        raise DataError(
            f"{table.file} line 1: expected one column for {role}, got {names}. "
            "Remove or rename one."
        )
    hint = f"Name a column {role}."
    if role == "batch":
        sequences = [n for n in table.header if fold(n) in ALIASES["sequences"]]
        if sequences:
            hint = (
                f"{quote(sequences[0])} counts sequences: multiply it by the length of "
                "a sequence and name the column batch."
            )
    raise DataError(
        f"{table.file} line 1: expected a column for {role}, got {table.columns()}. "
        f"{hint}"
    )


def _numbers(
    fields: tuple[str, ...], places: dict[str, int]
) -> tuple[dict[str, float], str]:
    """The numbers of one row, and why it cannot be used ("" where it can)."""
    numbers: dict[str, float] = {}
    for name, place in places.items():
        value = parse_cell(fields[place])
        if isinstance(value, str):
            return {}, f"{name}: {value}"
        numbers[name] = value
    fault = row_fault({**numbers, "loss": math.nan}, diverged=True)
    return numbers, "" if fault is None else fault[1]


def _recipe(table: Table) -> tuple[str, ...] | None:
    found = [k for k, name in enumerate(table.header) if fold(name) == "recipe"]
    if not found:
        return None
    return tuple(row.fields[found[0]] for row in table.rows)
