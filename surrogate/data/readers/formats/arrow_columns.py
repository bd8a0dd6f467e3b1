"""Columns of pyarrow as the arrays that tell the runs of a log."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from surrogate.base.shapes import Bool, Float64
from surrogate.data.readers.formats.thinned import Indices, numbers
from surrogate.data.readers.formats.values import text_of


def codes_of(column: Any) -> Indices:
    """Equal numbers for cells that are equal without the blanks around them."""
    pa = importlib.import_module("pyarrow")
    compute = importlib.import_module("pyarrow.compute")
    if not pa.types.is_dictionary(column.type):
        column = compute.dictionary_encode(column, null_encoding="encode")
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    seen: dict[str, int] = {}
    texts = map(text_of, column.dictionary.to_pylist())
    same = [seen.setdefault(text, len(seen)) for text in texts]
    indices = column.indices
    if indices.null_count:
        indices = compute.fill_null(indices, len(same))
        same.append(seen.setdefault("", len(seen)))
    found = indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return found if len(seen) == len(same) else np.array(same, dtype=np.int64)[found]


def changes_of(columns: Sequence[Any]) -> Bool[np.ndarray, " _"]:
    """Where any cell differs from the one above; the first row does."""
    compute = importlib.import_module("pyarrow.compute")
    found = np.zeros(len(columns[0]), dtype=bool)
    found[:1] = True
    for column in columns:
        above = column.slice(0, len(column) - 1)
        found[1:] |= np.asarray(compute.not_equal(column.slice(1), above), dtype=bool)
    return found


def order_of(column: Any) -> Float64[np.ndarray, " _"]:
    """Numbers for ordering; NaN or minus infinity where a cell is none."""
    pa = importlib.import_module("pyarrow")
    compute = importlib.import_module("pyarrow.compute")
    try:
        found = compute.cast(column, pa.float64())
        return np.asarray(found, dtype=np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return numbers([text_of(value) for value in column.to_pylist()])


def filled_of(column: Any, is_padded: bool) -> Bool[np.ndarray, " _"]:
    """Which cells are not empty, blanks aside where there may be some."""
    pa = importlib.import_module("pyarrow")
    compute = importlib.import_module("pyarrow.compute")
    found = compute.is_valid(column)
    if pa.types.is_string(column.type):
        texts = compute.utf8_trim_whitespace(column) if is_padded else column
        found = compute.and_(found, compute.greater(compute.binary_length(texts), 0))
    return np.asarray(found, dtype=bool)
