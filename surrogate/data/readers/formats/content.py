"""The bytes of a table, from a file or standard input, within limits.

Only regular files are read (a link to one is followed): a pipe would wait for ever and
a device never ends. Kind and size are known before the content is.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
from dataclasses import dataclass

from surrogate.base.errors import DataError
from surrogate.base.units import quote

STDIN = "-"
# What one process can hold as text.
MOST_BYTES = 2**30
# What a compressed file may unfold to, and what no table of runs has.
MOST_CELLS = 20_000_000
MOST_COLUMNS = 10_000
MOST_DEPTH = 32

_OPEN = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_BINARY"))


@dataclass(frozen=True)
class Content:
    """A file as bytes.

    Attributes:
        file: its path as given, printable.
        suffix: its ending in small letters; "" for standard input.
        data: the bytes.
        folded: SHA-256 of the file that they were compressed in; "" if in none.
    """

    file: str
    suffix: str
    data: bytes
    folded: str = ""

    @property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes."""
        return self.folded or hashlib.sha256(self.data).hexdigest()


def printable(path: str | os.PathLike[str]) -> str:
    """A path for messages: control characters escaped."""
    return repr(os.fspath(path))[1:-1]


def read_content(path: str | os.PathLike[str]) -> Content:
    """Read a regular file whole, or standard input for "-".

    Raises:
        DataError: it is no regular file, too large, cannot be read, or changes while
            it is read.
    """
    file = printable(path)
    if file == STDIN:
        return _standard_input()
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    try:
        # Path.is_dir raises where a name is too long or a folder is closed.
        if os.path.isdir(path):
            raise DataError(
                f"{file}: expected a file of runs, got a directory. Name the file "
                "inside it."
            )
        return Content(file, suffix, _read(file, path))
    except OSError as error:
        raise DataError(
            f"{file}: expected a file of runs, but it cannot be read "
            f"({error.strerror or error}). Check the path and its permissions."
        ) from error
    except DataError:
        raise
    except ValueError as error:
        raise DataError(
            f"{file}: expected the path of a file, got one that no file can have "
            f"({error}). Correct it."
        ) from error


def _read(file: str, path: str | os.PathLike[str]) -> bytes:
    descriptor = os.open(path, _OPEN)
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise DataError(
                f"{file}: expected a regular file, got {_kind(before.st_mode)}. Pipe "
                f"it instead: surrogate check {STDIN} < FILE."
            )
        if before.st_size > MOST_BYTES:
            raise too_large(file, before.st_size)
        with open(descriptor, "rb", closefd=False) as stream:
            # One byte more tells a file that grew; a larger buffer takes memory.
            data = stream.read(before.st_size + 1)
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise DataError(
            f"{file}: expected a file that is finished, but it was written to while "
            "it was read. Try again once it is whole."
        )
    return data


def _standard_input() -> Content:
    if sys.stdin is None:
        raise DataError("-: expected a table on standard input, but it is closed.")
    try:
        data = sys.stdin.buffer.read(MOST_BYTES + 1)
    except OSError as error:
        if error.errno == errno.EISDIR:
            raise DataError("-: expected a table, got a directory.") from error
        raise
    if len(data) > MOST_BYTES:
        raise too_large("standard input", len(data))
    return Content("standard input", "", data)


def _kind(mode: int) -> str:
    kinds = (
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    )
    return next((name for is_kind, name in kinds if is_kind(mode)), "something else")


def too_large(file: str, size: int) -> DataError:
    """What to say of a file over the limit."""
    return DataError(
        f"{file}: expected at most {MOST_BYTES:,} bytes, got {size:,}"
        f"{' or more' if size == MOST_BYTES + 1 else ''}. Keep one row a run: the last "
        "of its log, and the columns that matter."
    )


def check_size(file: str, rows: int, columns: int) -> None:
    """Refuse more rows or columns than a table of runs has.

    Raises:
        DataError: with the number and the limit.
    """
    if columns > MOST_COLUMNS:
        raise DataError(
            f"{file}: expected at most {MOST_COLUMNS:,} columns, got {columns:,}. Keep "
            "those of lr, batch, params, tokens and loss."
        )
    if rows * columns > MOST_CELLS:
        raise DataError(
            f"{file}: expected at most {MOST_CELLS:,} cells, got {rows:,} rows of "
            f"{columns:,} columns. Keep one row a run and the columns that matter."
        )


def need(module: str, file: str) -> DataError:
    """What to say where a package that reads a format is not installed."""
    return DataError(
        f"{file}: expected the package {quote(module)} to read this format, but it is "
        "not installed. Run: pip install 'loss-surrogate[formats]', or export the runs "
        "as CSV."
    )
