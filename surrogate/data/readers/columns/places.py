"""Where the columns of some names are, and how an expression spells them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from surrogate.data.readers.columns.roles import TEXTS, fold, role_of
from surrogate.data.readers.formats.csv import Table, parse_cell
from surrogate.data.readers.numbers import read_number

# Batches of a whole step, or of one device: the name does not tell.
_PERHAPS_OF_A_DEVICE = ("train_batch_size", "batch_size", "bs", "bsz")
_PLAIN = re.compile(r"[A-Za-z_]\w*(?:[./]\w+)*")


def places_of(table: Table, names: Sequence[str]) -> list[int]:
    """The columns of some names; of several, those that hold numbers."""
    found = [k for k, name in enumerate(table.header) if name and fold(name) in names]
    if len(found) < 2 or role_of(table.header[found[0]]) in TEXTS:
        return found
    # Of several, words are none: a model_size of "small" beside a number of params.
    return [k for k in found if has_number(table, k)] or found


def has_number(table: Table, place: int) -> bool:
    """Whether any cell of a column is a number, as people write them."""
    return any(
        isinstance(parse_cell(cell), float)
        or cell.lower() in ("nan", "inf")
        or read_number(cell, is_count=True, is_factor=True)
        for cell in (row.fields[place] for row in table.rows)
    )


def of_one_device(table: Table, place: int) -> int | None:
    """The column that says that a batch is what one device takes, or None.

    The Trainer's `train_batch_size` is its `per_device_train_batch_size`.
    """
    if fold(table.header[place]) not in _PERHAPS_OF_A_DEVICE:
        return None
    for k, name in enumerate(table.header):
        if k != place and role_of(name) == "device":
            pairs = ((row.fields[k], row.fields[place]) for row in table.rows)
            if all(parse_cell(one) == parse_cell(other) for one, other in pairs):
                return k
    return None


def spelled(name: str) -> str:
    """A column's name as an expression takes it."""
    if _PLAIN.fullmatch(name):
        return name
    mark = next((mark for mark in "\"'`" if mark not in name), '"')
    return f"{mark}{name}{mark}"
