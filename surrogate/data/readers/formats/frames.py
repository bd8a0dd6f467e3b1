"""Tables that Python holds: pandas, polars and pyarrow frames, dicts, lists of records.

No frame library is imported: each tells its columns and gives them as lists. pandas has
one value for missing and for not a number, which is read as missing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

from surrogate.base.errors import DataError
from surrogate.base.units import quote
from surrogate.data.readers.formats.content import check_size
from surrogate.data.readers.formats.csv import Table
from surrogate.data.readers.formats.records import from_records
from surrogate.data.readers.formats.values import text_of

_NOTE = "rows are counted from 1 where a line is named"


def is_frame(source: Any) -> bool:
    """Whether something is a table itself, and not the name of a file."""
    if isinstance(source, Mapping):
        return True
    if isinstance(source, list) and source:
        return all(isinstance(item, Mapping) for item in source)
    if hasattr(source, "collect"):
        # A lazy frame resolves its columns at a price, and is refused anyway.
        return True
    names = getattr(source, "column_names", None) or getattr(source, "columns", None)
    return names is not None and not isinstance(source, str | bytes)


def read_frame(source: Any) -> Table:
    """The table that a frame, a dict of columns or a list of records is.

    Raises:
        DataError: its columns are not named once each, are of several lengths, or it
            is too large.
    """
    kind = f"<{type(source).__name__}>"
    if isinstance(source, list):
        records = [(k + 1, record) for k, record in enumerate(source)]
        return from_records(kind, _digest(records), records, notes=[_note(kind)])
    columns = _columns(kind, source)
    lengths = {name: len(values) for name, values in columns.items()}
    if not lengths or not min(lengths.values()):
        raise DataError(
            f"{kind}: expected columns and rows, got {len(lengths)} columns and none."
        )
    first = next(iter(lengths))
    for name, length in lengths.items():
        if length != lengths[first]:
            raise DataError(
                f"{kind}: expected columns of one length, got {lengths[first]} values "
                f"of {quote(first)} and {length} of {quote(name)}."
            )
    check_size(kind, lengths[first], len(columns))
    rows = zip(*columns.values(), strict=True)
    records = [
        (k + 1, dict(zip(columns, row, strict=True))) for k, row in enumerate(rows)
    ]
    return from_records(kind, _digest(records), records, notes=[_note(kind)])


def _columns(kind: str, source: Any) -> dict[str, list[Any]]:
    if isinstance(source, Mapping):
        pairs = [(name, _values(kind, name, item)) for name, item in source.items()]
    elif hasattr(source, "collect") and not hasattr(source, "rows"):
        raise DataError(
            f"{kind}: expected a frame with its rows. Call .collect() on it."
        )
    elif hasattr(source, "column_names"):
        pairs = [
            (name, source.column(k).to_pylist())
            for k, name in enumerate(source.column_names)
        ]
    else:
        # An index that has names is a column: of lr, as a pivot leaves it.
        index = getattr(source, "index", None)
        if any(name is not None for name in getattr(index, "names", [])):
            source = source.reset_index()
        names = list(source.columns)
        check_size(kind, 1, len(names))
        is_pandas = hasattr(source, "iloc")
        pairs = [
            (
                name,
                _values(kind, name, source.iloc[:, k] if is_pandas else source[name]),
            )
            for k, name in enumerate(names)
        ]
        if is_pandas:
            pairs = [(name, [_missing(v) for v in values]) for name, values in pairs]
    found: dict[str, list[Any]] = {}
    for name, values in pairs:
        if isinstance(name, tuple):
            raise DataError(
                f"{kind}: expected columns of one name each, got {quote(str(name))}. "
                "Flatten them, such as frame.columns = ['.'.join(c) for c in "
                "frame.columns]."
            )
        text = text_of(name)
        if text in found:
            raise DataError(
                f"{kind}: expected every column once, got {quote(text)} twice. Rename "
                "or remove one."
            )
        found[text] = values
    return found


def _values(kind: str, name: object, values: Any) -> list[Any]:
    """A column as a list; what is masked is missing."""
    if hasattr(values, "mask") and hasattr(values, "filled"):
        # A masked array of NumPy: its list has None where it is masked.
        return list(values.tolist())
    for method in ("to_list", "tolist", "to_pylist"):
        convert = getattr(values, method, None)
        if callable(convert):
            found = convert()
            if not isinstance(found, list):
                break
            if any(isinstance(item, list) for item in found[:1]):
                raise _no_column(kind, name, "lists")
            return found
    if isinstance(values, list | tuple | range):
        return list(values)
    raise _no_column(kind, name, type(values).__name__)


def _no_column(kind: str, name: object, got: str) -> DataError:
    return DataError(
        f"{kind}: expected one value a row in column {quote(str(name))}, got {got}. "
        "Leave the column out."
    )


def _missing(value: Any) -> Any:
    """A value of pandas, whose nan is a missing one."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _note(kind: str) -> str:
    return f"{kind}: {_NOTE}"


def _digest(records: list[tuple[int, Any]]) -> str:
    """SHA-256 of the rows as text, as a file has one."""
    found = hashlib.sha256()
    for _, record in records:
        for name, value in record.items():
            found.update(f"{name}\0{text_of(value)}\0".encode("utf-8", "replace"))
        found.update(b"\n")
    return found.hexdigest()
