"""Records (mappings of names to values) as a table: nested names are joined by dots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from surrogate.base.errors import DataError
from surrogate.base.units import quote
from surrogate.data import Dropped
from surrogate.data.readers.formats.content import MOST_DEPTH, check_size
from surrogate.data.readers.formats.csv import Row, Table
from surrogate.data.readers.formats.values import is_wrapped, text_of

Record = Mapping[Any, Any]


def flatten(file: str, record: Record, line: int) -> dict[str, str]:
    """The cells of one record by dotted name; names that begin with _ are left out.

    Raises:
        DataError: it is nested too deep, or two of its names are one once joined.
    """
    cells: dict[str, str] = {}
    stack: list[tuple[str, Any, int]] = [("", record, 0)]
    while stack:
        name, value, depth = stack.pop()
        if isinstance(value, Mapping) and is_wrapped(value):
            value = value["value"]
        if not isinstance(value, Mapping):
            if name in cells:
                raise DataError(
                    f"{file} line {line}: expected every name once, got {quote(name)} "
                    "both joined and as it is. Rename one."
                )
            cells[name] = text_of(value)
            continue
        if depth >= MOST_DEPTH:
            raise too_deep(file)
        for key, item in reversed(list(value.items())):
            # W&B keeps its own things under such names.
            if str(key).startswith("_") and depth:
                continue
            key = str(key).strip()
            stack.append((f"{name}.{key}" if name else key, item, depth + 1))
    return cells


def too_deep(file: str) -> DataError:
    """What to say of a file nested over the limit."""
    return DataError(
        f"{file}: expected records nested at most {MOST_DEPTH} deep, got more. Write "
        "one flat record a run."
    )


def from_records(
    file: str,
    digest: str,
    records: Sequence[tuple[int, Record]],
    dropped: Sequence[Dropped] = (),
    notes: Sequence[str] = (),
) -> Table:
    """A table of records, one column a name in the order in which they come.

    Args:
        file: for messages.
        digest: SHA-256 of what was read.
        records: each with its line, or its number from 1.
        dropped: what is known to be no record.
        notes: for people.

    Raises:
        DataError: there is none, or too much of them.
    """
    flat = [(line, flatten(file, record, line)) for line, record in records]
    names: dict[str, int] = {}
    for _, cells in flat:
        for name in cells:
            names.setdefault(name, len(names))
    check_size(file, len(flat), len(names))
    if not names:
        first = f" The first line that is none: {dropped[0]}." if dropped else ""
        raise DataError(f"{file}: expected records of runs, got none.{first}")
    rows = tuple(
        Row(line, tuple(cells.get(name, "") for name in names)) for line, cells in flat
    )
    return Table(file, digest, tuple(names), rows, tuple(dropped), tuple(notes))
