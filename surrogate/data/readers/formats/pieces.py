"""Delimited text in pieces of whole lines, parsed by pyarrow or Python's csv module.

pyarrow parses only the columns that tell runs, and only pieces in which every line is a
row of the header's length; all others, and all where it is not installed, go through
csv. Either way the same rows are kept, with the lines on which they stand.
"""

from __future__ import annotations

import csv
import hashlib
import importlib
import io
import re
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import accumulate, islice
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from surrogate.base.errors import DataError
from surrogate.base.units import quote
from surrogate.data import Dropped
from surrogate.data.readers.formats.arrow_columns import (
    changes_of,
    codes_of,
    filled_of,
    order_of,
)
from surrogate.data.readers.formats.thinned import (
    Fields,
    Indices,
    Piece,
    Thinned,
    add,
    piece_of,
)

_BREAK = re.compile(r"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"
# Tries to end a piece where no quote is open.
_TRIES = 64
# Of a piece, how much a quote may stay open, and in any case [bytes].
_MOST_OPEN, _LEAST_OPEN = 16, 2**20
# What pyarrow parses at once [bytes].
_BLOCK = 2**18
# Rows that csv reads at once, and pieces that are parsed ahead.
_ROWS, _AHEAD = 2000, 2


class Text(NamedTuple):
    """A table of delimited text while it is read.

    Attributes:
        file: its name, for messages.
        mark: between cells.
        skipped: lines up to and with its header.
        width: how many columns it has.
        size: of a piece [bytes].
        kept: its rows so far.
        left: its rows of another length.
        advance: is told of bytes that were read.
    """

    file: str
    mark: str
    skipped: int
    width: int
    size: int
    kept: Thinned
    left: list[Dropped]
    advance: Callable[[int], None]


def read_pieces(stream: BinaryIO, text: Text) -> str:
    """Keep the rows of `stream` that tell its runs; return the SHA-256 of its bytes.

    Raises:
        DataError: it is no UTF-8, or no CSV.
    """
    digest = hashlib.sha256()
    arrow = _arrow()
    line = 1 + text.skipped
    with (
        ThreadPoolExecutor(1) as hashing,
        ThreadPoolExecutor(2) as parsing,
        closing(_pieces(stream, text, digest, hashing)) as pieces,
    ):
        ahead: deque[tuple[bytes, Future[Piece | None] | None]] = deque()
        for data in pieces:
            future = arrow and parsing.submit(_parsed, arrow, data, text)
            ahead.append((data, future))
            if len(ahead) > _AHEAD:
                line += _take(*ahead.popleft(), line, text)
        while ahead:
            line += _take(*ahead.popleft(), line, text)
    return digest.hexdigest()


def _take(
    data: bytes, future: Future[Piece | None] | None, line: int, text: Text
) -> int:
    """Offer a piece that begins on a line; return how many lines it has."""
    piece = future.result() if future is not None else None
    lines = -1
    if piece is not None:
        # What pyarrow takes for a row may be none to csv, which tells its line.
        with suppress(csv.Error):
            add(text.kept, piece, line)
            lines = len(piece.lines)
    if lines < 0:
        lines = _by_csv(data, line, text)
    text.advance(len(data))
    return lines


def _pieces(
    stream: BinaryIO, text: Text, digest: Any, hashing: ThreadPoolExecutor
) -> Generator[bytes, None, None]:
    """Pieces of whole lines that end where no quote is open, without the header."""
    rest, is_first, todo = b"", True, text.skipped
    done: Future[None] | None = None
    size = text.size
    while True:
        data = stream.read(size)
        if done is not None:
            done.result()
        done = hashing.submit(digest.update, data)
        is_end = not data
        if is_first:
            data, is_first = data.removeprefix(_BOM), False
        data = rest + data if rest else data
        while todo and (at := data.find(b"\n") + 1):
            data, todo = data[at:], todo - 1
        at = len(data) if is_end else 0 if todo else _cut(data)
        # What holds no end of a row yet is read on, in ever larger steps.
        size = text.size if at else 2 * size
        if size > max(_MOST_OPEN * text.size, _LEAST_OPEN):
            raise DataError(
                f"{text.file}: expected CSV in UTF-8, got a quote that is open for "
                f"{len(data):,} bytes. Look for one that is not closed: from "
                f"{quote(data[:80].decode('utf-8', 'replace'))} on."
            )
        if at:
            yield data[:at]
        rest = data[at:]
        if is_end:
            done.result()
            return


def _cut(data: bytes) -> int:
    """Where the last line ends after which no quote is open; 0 where none does."""
    at = data.rfind(b"\n") + 1
    if b'"' not in data:
        return at
    is_open = data.count(b'"', 0, at) % 2
    for _ in range(_TRIES):
        if not is_open or not at:
            break
        before = data.rfind(b"\n", 0, at - 1) + 1
        is_open = (is_open + data.count(b'"', before, at)) % 2
        at = before
    return 0 if is_open else at


def _by_csv(data: bytes, first: int, text: Text) -> int:
    """Read a piece row by row; return how many lines it has."""
    line, reader = first, csv.reader(())
    try:
        stream = io.StringIO(data.decode("utf-8"), newline="")
        reader = csv.reader(stream, delimiter=text.mark, strict=True)
        while rows := list(islice(reader, _ROWS)):
            _offer(_starts_of(rows, line, first + reader.line_num), rows, text)
            line = first + reader.line_num
        return reader.line_num
    except (csv.Error, UnicodeDecodeError) as error:
        if isinstance(error, UnicodeDecodeError):
            line = first + data.count(b"\n", 0, error.start)
        else:
            line = first + reader.line_num - 1
        raise DataError(
            f"{text.file} line {line}: expected CSV in UTF-8, got a row that cannot be "
            f"read ({error}). Look for a quote that is not closed."
        ) from error


def _starts_of(rows: list[list[str]], first: int, end: int) -> Sequence[int]:
    """The line on which each of some rows starts; the next would start at `end`."""
    if end - first == len(rows):
        return range(first, end)
    lines = [1 + sum(len(_BREAK.findall(cell)) for cell in row) for row in rows]
    return list(accumulate(lines[:-1], initial=first))


def _offer(starts: Sequence[int], rows: list[list[str]], text: Text) -> None:
    widths = list(map(len, rows))
    if widths.count(text.width) < len(rows):
        found = list(zip(starts, rows, strict=True))
        text.left.extend(
            _odd(text.file, at, len(row), text.width)
            for at, row in found
            if len(row) not in (0, text.width)
        )
        found = [pair for pair in found if len(pair[1]) == text.width]
        starts, rows = [at for at, _ in found], [row for _, row in found]
    if rows:
        add(text.kept, piece_of(text.kept.log, starts, rows), 0)


def _odd(file: str, line: int, found: int, expected: int) -> Dropped:
    reason = f"{found} fields where the header has {expected}"
    return Dropped(file, line, "", "", reason)


def _arrow() -> Any:
    """The CSV reader of pyarrow, None where it is not installed."""
    try:
        return importlib.import_module("pyarrow.csv")
    except ImportError:
        return None


def _parsed(arrow: Any, data: bytes, text: Text) -> Piece | None:
    """A piece by pyarrow, or None where a line is no row or something is no text."""
    log = text.kept.log
    is_ascii = data.isascii()
    if not is_ascii:
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            return None
    ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 10)
    if not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    table = _columns(arrow, data, text, is_number=True)
    if table is None:
        table = _columns(arrow, data, text, is_number=False)
    if table is None or table.num_rows != len(ends):
        return None
    # Blanks around cells are no part of them.
    is_padded = not is_ascii or b" " in data or b"\t" in data
    keys = [table.column(str(k)) for k in log.keys]

    def take(rows: Indices) -> list[Fields]:
        places = rows.tolist()
        lines = [data[ends[k - 1] + 1 if k else 0 : ends[k]] for k in places]
        texts = [line.decode("utf-8") for line in lines]
        fields = csv.reader(texts, delimiter=text.mark, strict=True)
        return [tuple(map(str.strip, row)) for row in fields]

    return Piece(
        moves=changes_of(keys),
        codes=lambda: [codes_of(column) for column in keys],
        order=None if log.order is None else order_of(table.column(str(log.order))),
        filled=[filled_of(table.column(str(k)), is_padded) for k in log.losses],
        lines=range(table.num_rows),
        take=take,
    )


def _columns(arrow: Any, data: bytes, text: Text, *, is_number: bool) -> Any:
    """The columns that tell runs; the ordering one as numbers, if it can be read so."""
    pa = importlib.import_module("pyarrow")
    log = text.kept.log
    types = dict.fromkeys(map(str, log.losses), pa.string())
    if log.order is not None:
        types[str(log.order)] = pa.float64() if is_number else pa.string()
    types.update(dict.fromkeys(map(str, log.keys), pa.string()))
    # Small blocks stay in the cache; a line end in quotes would part a row.
    block = len(data) + 1 if b'"' in data else _BLOCK
    try:
        return arrow.read_csv(
            pa.BufferReader(data),
            read_options=arrow.ReadOptions(
                column_names=[str(k) for k in range(text.width)],
                use_threads=False,
                block_size=block,
            ),
            parse_options=arrow.ParseOptions(delimiter=text.mark),
            convert_options=arrow.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                strings_can_be_null=False,
                check_utf8=False,
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
