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
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, BinaryIO

from surrogate.base.errors import DataError
from surrogate.base.progress import Progress
from surrogate.data import Dropped
from surrogate.data.readers.formats.arrow_columns import (
    codes_of,
    filled_of,
    order_of,
)
from surrogate.data.readers.formats.content import check_size, printable
from surrogate.data.readers.formats.csv import Table, build, delimiter_of, numbered
from surrogate.data.readers.formats.delimited import header_line
from surrogate.data.readers.formats.pieces import Text, read_pieces
from surrogate.data.readers.formats.preamble import skip_titles
from surrogate.data.readers.formats.thinned import (
    Fields,
    Indices,
    Log,
    Piece,
    Thinned,
    add,
    changes,
    log_of,
)
from surrogate.data.readers.formats.values import text_of

# From so many bytes on a file is read in pieces, of so many, up to so many.
LARGE = 2**25
_PIECE = 2**22
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
    read = _parquet if suffix in _PARQUET else _delimited
    table = read(path, file, before.st_size, progress)
    after = os.stat(path)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise DataError(
            f"{file}: expected a file that is finished, but it was written to while "
            "it was read. Try again once it is whole."
        )
    return table


class _Digest:
    """The SHA-256 of a file, computed beside other work."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self._found = self._pool.submit(self._read, path)

    def _read(self, path: str | os.PathLike[str]) -> str:
        digest = hashlib.sha256()
        with open(path, "rb") as stream:
            while not self._stop.is_set() and (data := stream.read(_PIECE)):
                digest.update(data)
        return digest.hexdigest()

    def __enter__(self) -> Future[str]:
        return self._found

    def __exit__(self, *_: object) -> None:
        # What is read is wanted whole, or not at all.
        self._stop.set()
        self._pool.shutdown()


def _arrow(module: str) -> Any:
    """A module of pyarrow, None where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def _delimited(
    path: str | os.PathLike[str], file: str, size: int, progress: Progress | None
) -> Table | None:
    with open(path, "rb") as stream:
        head = stream.read(_HEAD)
        if head.startswith((b"\xff\xfe", b"\xfe\xff", b"|")) or b"\0" in head:
            return None
        begin = head[: head.rfind(b"\n") + 1].decode("utf-8-sig", "replace")
        if not begin.strip():
            return None
        mark = delimiter_of(file, header_line(begin))
        if mark == ";":
            # Decimal commas are told by all cells.
            return None
        try:
            rows = csv.reader(io.StringIO(begin, newline=""), delimiter=mark)
            lines = [line for line in numbered(file, rows) if line[1]]
        except DataError:
            return None
        body, notes = skip_titles(file, lines)
        skipped, header = next(body)
        names = tuple(name.strip() for name in header)
        first = [
            tuple(map(str.strip, row)) for _, row in body if len(row) == len(names)
        ]
        log = log_of(names, first)
        is_broken = any("\n" in name for name in header)
        if log is None:
            _check_whole(file, stream, names)
        if log is None or is_broken or len(set(names)) < len(names):
            return None
        tell = _Bytes(progress, file, size)
        kept, left = Thinned(log), []
        stream.seek(0)
        digest = read_pieces(
            stream,
            Text(file, mark, skipped, len(names), _PIECE, kept, left, tell.advance),
        )
    return _table(file, digest, names, kept, left, notes)


def _check_whole(file: str, stream: BinaryIO, names: Sequence[str]) -> None:
    """Refuse what is read whole, before it is, where it holds too much."""
    stream.seek(0)
    lines = 0
    while data := stream.read(_PIECE):
        if b'"' in data:
            # Line ends in quotes end no rows: the reader counts them.
            return
        lines += data.count(b"\n")
    try:
        check_size(file, lines, len(names))
    except DataError as error:
        raise DataError(
            f"{error} A log of checkpoints is read in pieces if a column names the run "
            "of each row (run_id)."
        ) from error


class _Bytes:
    """Tells of bytes in pieces."""

    def __init__(self, progress: Progress | None, file: str, size: int) -> None:
        self._progress, self._done = progress, 0
        if progress is not None:
            progress.start(f"reading {file}", max(size // _PIECE, 1))

    def advance(self, size: int) -> None:
        """So many more were read."""
        before, self._done = self._done, self._done + size
        if self._progress is not None:
            pieces = self._done // _PIECE - before // _PIECE
            if pieces:
                self._progress.advance(pieces)


def _table(
    file: str,
    digest: str,
    names: tuple[str, ...],
    kept: Thinned,
    left: list[Dropped],
    notes: Sequence[str],
) -> Table:
    rows = kept.result()
    check_size(file, len(rows), len(names))
    table = build(file, digest, [(0, names), *rows], dropped=left[:_NAMED])
    said = f"{kept.rows:,} rows of {kept.runs:,} runs were read in pieces"
    more = f", {len(left):,} of another length left out" if left else ""
    note = f"{file}: {said}, of each its last and {len(rows):,} in all are used{more}"
    return replace(table, notes=(*table.notes, *notes, note))


def _parquet(
    path: str | os.PathLike[str], file: str, size: int, progress: Progress | None
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
        with _Digest(path) as digest:
            for batch in _chain(first, pieces):
                add(kept, _piece(batch, log), line)
                line += batch.num_rows
                if progress is not None:
                    progress.advance()
            sha256 = digest.result()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        said = " ".join(str(error).split())[:120]
        raise DataError(
            f"{file}: expected Parquet, got a file that cannot be read so ({said}). "
            "Write it again, or export the runs as CSV."
        ) from error
    return _table(file, sha256, names, kept, [], [])


def _piece(batch: Any, log: Log) -> Piece:
    """The rows of a batch as columns."""
    pa = importlib.import_module("pyarrow")

    def take(rows: Indices) -> list[Fields]:
        part = batch.take(pa.array(rows))
        lists = [column.to_pylist() for column in part.columns]
        return [tuple(map(text_of, row)) for row in zip(*lists, strict=True)]

    codes = [codes_of(batch.column(k)) for k in log.keys]
    return Piece(
        moves=changes(codes),
        codes=lambda: codes,
        order=None if log.order is None else order_of(batch.column(log.order)),
        filled=[filled_of(batch.column(k), is_padded=True) for k in log.losses],
        lines=range(batch.num_rows),
        take=take,
    )


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest
