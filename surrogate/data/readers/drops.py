"""Rows that are no runs, each with its line, column and reason."""

from __future__ import annotations

from surrogate.base.units import quote
from surrogate.data import Dropped
from surrogate.data.readers.formats.csv import Row, Table


def clean(text: str) -> str:
    """Text from a file, fit for a message: one line, printable, cut at 60."""
    return quote(text)[1:-1]


def drop(table: Table, row: Row, column: int, reason: str) -> Dropped:
    """A row that is no run, for one of its cells."""
    text = clean(row.fields[column])
    return Dropped(table.file, row.line, clean(table.header[column]), text, reason)
