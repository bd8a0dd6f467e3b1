"""Large files, read in pieces: of a log only the rows that tell its runs are kept.

With pyarrow (extra `formats`) pieces are parsed in parallel; without, by Python's csv
module, to the same rows. What has no column of run names is read whole, within limits.
"""

from __future__ import annotations

import csv
import hashlib
import importlib
import io
import os
import stat
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from surrogate.base.errors import DataError
from surrogate.base.progress import Progress
from surrogate.data import Dropped
from surrogate.data.readers.content import check_size, printable
from surrogate.data.readers.csv import Table, build, delimiter_of
from surrogate.data.readers.delimited import header_line
from surrogate.data.readers.preamble import skip_titles
from surrogate.data.readers.thinned import Log, Thinned, add_columns, log_of
from surrogate.data.readers.values import text_of

# From so many bytes on a file is read in pieces, of so many, up to so many.
LARGE = 2**25
_PIECE = 2**24
MOST_STREAMED = 2**37
_HEAD = 2**19
_DELIMITED = (".csv", ".tsv", ".txt")
_PARQUET = (".parquet", ".pq")
_ROWS = 200_000
# Rows that are none, of which the place is told.
_NAMED = 1000


def read_large(path: str | os.PathLike[str], progress: Progress | None) -> Table | None:
    """The table of a large log, its runs told by a few rows each; None for all else.

    Raises:
        DataError: it is too large even so, cannot be parsed, or changes meanwhile.
    """
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    try:
        before = os.stat(path)
    except (OSError, ValueError):
        return None
    is_known = suffix in (*_DELIMITED, *_PARQUET)
    if not is_known or not stat.S_ISREG(before.st_mode) or before.st_size < LARGE / 32:
        return None
    file = printable(path)
    if before.st_size > MOST_STREAMED:
        raise DataError(
            f"{file}: expected at most {MOST_STREAMED:,} bytes, got "
            f"{before.st_size:,}. Keep one row a run."
        )
    if suffix not in _PARQUET and before.st_size < LARGE:
        return None
    with ThreadPoolExecutor(1) as pool:
        digest = pool.submit(_digest, path)
        read = _parquet if suffix in _PARQUET else _delimited
        table = read(path, file, before.st_size, progress, digest)
    after = os.stat(path)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise DataError(
            f"{file}: expected a file that is finished, but it was written to while "
            "it was read. Try again once it is whole."
        )
    return table


def _digest(path: str | os.PathLike[str]) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _arrow(module: str) -> Any:
    """A module of pyarrow, None where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def _delimited(
    path: str | os.PathLike[str],
    file: str,
    size: int,
    progress: Progress | None,
    digest: Future[str],
) -> Table | None:
    with open(path, "rb") as stream:
        head = stream.read(_HEAD)
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"|")) or b"\0" in head:
        return None
    text = head[: head.rfind(b"\n") + 1].decode("utf-8-sig", "replace")
    if not text.strip():
        return None
    mark = delimiter_of(file, header_line(text))
    if mark == ";":
        # Decimal commas are told by all cells.
        return None
    try:
        lines = list(enumerate(csv.reader(io.StringIO(text), delimiter=mark), 1))
    except csv.Error:
        return None
    body, notes = skip_titles(file, [line for line in lines if line[1]])
    skipped, header = next(body)
    names = tuple(name.strip() for name in header)
    first = [tuple(x.strip() for x in row) for _, row in body if len(row) == len(names)]
    log = log_of(names, first)
    if log is None or len(set(names)) < len(names):
        return None
    source = _Delimited(path, file, mark, skipped, names, Thinned(log), progress)
    if progress is not None:
        progress.start(f"reading {file}", max(size // _PIECE, 1))
    arrow = _arrow("pyarrow.csv")
    if arrow is not None:
        left = _by_arrow(arrow, source, has_quotes='"' in text)
    else:
        left = _by_csv(source)
    return _table(file, digest.result(), names, source.kept, left, notes)


class _Delimited(NamedTuple):
    """A table of text while it is read.

    Attributes:
        path: where it is.
        file: its name, for messages.
        mark: between cells.
        skipped: lines up to its header.
        names: of its columns.
        kept: its rows so far.
        tell: is told of the reading.
    """

    path: str | os.PathLike[str]
    file: str
    mark: str
    skipped: int
    names: tuple[str, ...]
    kept: Thinned
    tell: Progress | None


def _table(
    file: str,
    digest: str,
    names: tuple[str, ...],
    kept: Thinned,
    left: list[Dropped],
    notes: list[str],
) -> Table:
    rows = kept.result()
    check_size(file, len(rows), len(names))
    table = build(file, digest, [(0, names), *rows], dropped=left[:_NAMED])
    said = f"{kept.rows:,} rows of {kept.runs:,} runs were read in pieces"
    more = f", {len(left):,} of another length left out" if left else ""
    note = f"{file}: {said}, of each its last and {len(rows):,} in all are used{more}"
    return replace(table, notes=(*table.notes, *notes, note))


def _by_csv(source: _Delimited) -> list[Dropped]:
    """Read row by row; return the rows of another length."""
    path, file, mark, skipped, names, kept, tell = source
    left: list[Dropped] = []
    with (
        open(path, "rb") as raw,
        io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as stream,
    ):
        told = 0
        reader = csv.reader(stream, delimiter=mark, strict=True)
        line = 1
        try:
            for fields in reader:
                start, line = line, reader.line_num + 1
                if start <= skipped or not fields:
                    continue
                if len(fields) != len(names):
                    left.append(_odd(file, start, len(fields), len(names)))
                    continue
                kept.add(start, tuple(field.strip() for field in fields))
                if tell is not None and kept.rows % _ROWS == 0:
                    done = raw.tell() // _PIECE
                    tell.advance(done - told)
                    told = done
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(
                f"{file} line {line}: expected CSV in UTF-8, got a row that cannot be "
                f"read ({error}). Look for a quote that is not closed."
            ) from error
    return left


def _odd(file: str, line: int, found: int, expected: int) -> Dropped:
    reason = f"{found} fields where the header has {expected}"
    return Dropped(file, line, "", "", reason)


def _by_arrow(arrow: Any, source: _Delimited, *, has_quotes: bool) -> list[Dropped]:
    """Read pieces, each parsed in parallel; return the rows of another length."""
    path, file, mark, skipped, names, kept, tell = source
    pa = importlib.import_module("pyarrow")
    left: list[Dropped] = []

    def odd(row: Any) -> str:
        left.append(
            _odd(file, row.number or 0, row.actual_columns, row.expected_columns)
        )
        return "skip"

    columns = [str(k) for k in range(len(names))]
    keys = {columns[k]: pa.dictionary(pa.int32(), pa.string()) for k in kept.log.keys}
    types = {name: keys.get(name, pa.string()) for name in columns}
    try:
        reader = arrow.open_csv(
            os.fspath(path),
            read_options=arrow.ReadOptions(
                column_names=columns, skip_rows=skipped, block_size=_PIECE
            ),
            parse_options=arrow.ParseOptions(
                delimiter=mark, newlines_in_values=has_quotes, invalid_row_handler=odd
            ),
            convert_options=arrow.ConvertOptions(
                column_types=types, strings_can_be_null=False
            ),
        )
        line = skipped + 1
        for batch in reader:
            if batch.num_rows:
                _add(batch, kept, line)
            line += batch.num_rows
            if tell is not None:
                tell.advance()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        said = " ".join(str(error).split())[:120]
        raise DataError(
            f"{file}: expected CSV in UTF-8, got something that cannot be read "
            f"({said}). Look for a quote that is not closed."
        ) from error
    return left


def _add(batch: Any, kept: Thinned, line: int) -> None:
    """The rows of one piece."""
    pa = importlib.import_module("pyarrow")
    compute = importlib.import_module("pyarrow.compute")
    log: Log = kept.log
    codes = []
    for k in log.keys:
        column = batch.column(k)
        if not isinstance(column, pa.DictionaryArray):
            column = compute.dictionary_encode(column, null_encoding="encode")
        codes.append(column.indices.to_numpy(zero_copy_only=False).astype(np.int64))
    order = (
        None if log.order is None else _numbers(pa, compute, batch.column(log.order))
    )
    filled = [_filled(pa, compute, batch.column(k)) for k in log.losses]

    def take(rows: np.ndarray) -> list[tuple[str, ...]]:
        part = batch.take(pa.array(rows))
        lists = [column.to_pylist() for column in part.columns]
        return [tuple(map(text_of, row)) for row in zip(*lists, strict=True)]

    lines = np.arange(line, line + batch.num_rows, dtype=np.int64)
    add_columns(kept, codes, order, filled, lines, take)


def _numbers(pa: Any, compute: Any, column: Any) -> np.ndarray:
    """Numbers for ordering; NaN where a cell is none."""
    try:
        found = compute.cast(column, pa.float64())
        return found.to_numpy(zero_copy_only=False).astype(np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        from surrogate.data.readers.thinned import number

        texts = map(text_of, column.to_pylist())
        return np.array([number(text) for text in texts], dtype=np.float64)


def _filled(pa: Any, compute: Any, column: Any) -> np.ndarray:
    found = compute.is_valid(column)
    if pa.types.is_string(column.type):
        found = compute.and_(found, compute.not_equal(column, ""))
    return found.to_numpy(zero_copy_only=False)


def _parquet(
    path: str | os.PathLike[str],
    file: str,
    size: int,
    progress: Progress | None,
    digest: Future[str],
) -> Table | None:
    parquet = _arrow("pyarrow.parquet")
    pa = _arrow("pyarrow")
    if parquet is None:
        return None
    try:
        source = parquet.ParquetFile(os.fspath(path))
        names = tuple(source.schema_arrow.names)
        flat = not any(pa.types.is_nested(t) for t in source.schema_arrow.types)
        if not flat or len(set(names)) < len(names):
            return None
        pieces: Iterator[Any] = source.iter_batches(batch_size=_ROWS)
        total = source.metadata.num_rows
        first = next(pieces, None)
        if first is None or total < _ROWS:
            return None
        head = first.slice(0, 5000).to_pylist()
        rows = [tuple(text_of(row[name]) for name in names) for row in head]
        log = log_of(names, rows)
        if log is None:
            return None
        kept = Thinned(log)
        if progress is not None:
            progress.start(f"reading {file}", max(total // _ROWS, 1))
        line = 1
        for batch in _chain(first, pieces):
            _add(batch, kept, line)
            line += batch.num_rows
            if progress is not None:
                progress.advance()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        said = " ".join(str(error).split())[:120]
        raise DataError(
            f"{file}: expected Parquet, got a file that cannot be read so ({said}). "
            "Write it again, or export the runs as CSV."
        ) from error
    return _table(file, digest.result(), names, kept, [], [])


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest
