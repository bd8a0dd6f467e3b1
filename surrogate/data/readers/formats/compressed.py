"""Compressed tables: one file, unfolded up to a limit, then read as what it is."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

from surrogate.base.errors import DataError
from surrogate.base.units import quote
from surrogate.data.readers.formats.content import Content, printable

# What a compressed table may unfold to [bytes].
MOST_UNFOLDED = 2**28
ENDINGS = (".gz", ".bz2", ".xz", ".zip")
_OPENERS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_ZIP = b"PK\x03\x04"
_SHOWN = 6
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


def unfolded(content: Content) -> Content:
    """The file within a compressed one; what is not compressed as it is.

    Raises:
        DataError: it is broken, locked, holds several files or is too large unfolded.
    """
    data, name = content.data, content.file
    if content.suffix in ENDINGS:
        name = os.path.splitext(name)[0]
    opener = next((o for magic, o in _OPENERS.items() if data.startswith(magic)), None)
    try:
        if opener is not None:
            with opener(io.BytesIO(data)) as stream:
                return _inner(content, name, stream)
        if data.startswith(_ZIP) and content.suffix == ".zip":
            with zipfile.ZipFile(io.BytesIO(data)) as folder:
                member = _only(content.file, folder)
                with folder.open(member) as stream:
                    return _inner(content, member.filename, stream)
    except (*_BROKEN, RuntimeError, NotImplementedError) as error:
        said = " ".join(str(error).split())[:120]
        raise DataError(
            f"{content.file}: expected a compressed table, got one that cannot be "
            f"unfolded ({said}). Unfold it yourself, and name the file within."
        ) from error
    if content.suffix in ENDINGS:
        raise DataError(
            f"{content.file}: expected a compressed file, as its ending says, got "
            "other bytes. Give it the ending of what it is, such as .csv."
        )
    return content


def _inner(content: Content, name: str, stream: Any) -> Content:
    data = stream.read(MOST_UNFOLDED + 1)
    if len(data) > MOST_UNFOLDED:
        raise DataError(
            f"{content.file}: expected at most {MOST_UNFOLDED:,} bytes unfolded, got "
            "more. Unfold it, and name the file within."
        )
    suffix = os.path.splitext(name)[1].lower()
    return Content(content.file, suffix, data, content.sha256)


def _only(file: str, folder: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The one file of an archive; what systems add to it is none."""
    members = [
        member
        for member in folder.infolist()
        if not member.is_dir() and not member.filename.startswith("__MACOSX/")
    ]
    if len(members) == 1:
        return members[0]
    some = ", ".join(quote(printable(m.filename)) for m in members[:_SHOWN])
    raise DataError(
        f"{file}: expected an archive of one table, got {len(members)} files"
        f"{f' ({some})' if some else ''}. Unfold it, and name the files, or the folder."
    )
