"""Tables in Parquet and Arrow files, by pyarrow (extra `formats`)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from surrogate.base.errors import DataError
from surrogate.data.readers.formats.content import (
    MOST_BYTES,
    Content,
    check_size,
    need,
    too_large,
)
from surrogate.data.readers.formats.csv import Table
from surrogate.data.readers.formats.records import from_records

# What pandas writes its index as.
_INDEX = "__index_level_0__"
_NOTE = "rows are counted from 1 where a line is named"


def parse_parquet(content: Content) -> Table:
    """The table in a Parquet file.

    Raises:
        DataError: it is none, is too large, or pyarrow is not installed.
    """
    file = content.file
    parquet = _pyarrow(file, "pyarrow.parquet")
    try:
        source = parquet.ParquetFile(io.BytesIO(content.data))
        about = source.metadata
        check_size(file, about.num_rows, about.num_columns)
        groups = range(about.num_row_groups)
        size = sum(about.row_group(k).total_byte_size for k in groups)
        if size > MOST_BYTES:
            raise too_large(file, size)
        return _table(content, source.iter_batches())
    except DataError:
        raise
    except Exception as error:
        raise _broken(file, "Parquet", error) from error


def parse_arrow(content: Content) -> Table:
    """The table in an Arrow (Feather) file or stream.

    Raises:
        DataError: it is none, is too large, or pyarrow is not installed.
    """
    file = content.file
    ipc = _pyarrow(file, "pyarrow.ipc")
    try:
        if content.data.startswith(b"ARROW1"):
            reader = ipc.open_file(io.BytesIO(content.data))
            count = reader.num_record_batches
            return _table(content, (reader.get_batch(k) for k in range(count)))
        return _table(content, iter(ipc.open_stream(io.BytesIO(content.data))))
    except DataError:
        raise
    except Exception as error:
        raise _broken(file, "Arrow", error) from error


def _table(content: Content, batches: Iterator[Any]) -> Table:
    records: list[tuple[int, dict[str, Any]]] = []
    for batch in batches:
        names = batch.schema.names
        check_size(content.file, len(records) + batch.num_rows, len(names))
        for name in names:
            if names.count(name) > 1:
                raise DataError(
                    f"{content.file}: expected every column once, got {name!r} "
                    f"{names.count(name)} times. Rename or remove one."
                )
        columns = [column.to_pylist() for column in batch.columns]
        for row in zip(*columns, strict=True):
            record = dict(zip(names, row, strict=True))
            record.pop(_INDEX, None)
            records.append((len(records) + 1, record))
    note = f"{content.file}: {_NOTE}"
    return from_records(content.file, content.sha256, records, notes=[note])


def _pyarrow(file: str, module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise need("pyarrow", file) from error


def _broken(file: str, kind: str, error: Exception) -> DataError:
    said = " ".join(str(error).split())[:120]
    return DataError(
        f"{file}: expected {kind}, got a file that cannot be read so ({said}). Write "
        "it again, or export the runs as CSV."
    )
