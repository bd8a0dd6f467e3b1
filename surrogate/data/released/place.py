"""Where fetched dumps lie, and what of a file there is believed."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from surrogate.base.errors import DataError
from surrogate.base.files import read_regular, shown, write_whole
from surrogate.data.released.download import TIMEOUT, Progress, download
from surrogate.data.released.known import Dump

_MOST_BYTES = 200 * 2**20


@dataclass(frozen=True)
class Fetched:
    """A dump on this machine.

    Attributes:
        dump: which.
        path: where it lies.
        sha256: of its bytes.
        size: in bytes.
        how: `pinned` where the digest was known before, `recorded` where it is the one
            of the first fetch, `placed` where the file was put there by hand.
        is_new: it was fetched now.
    """

    dump: Dump
    path: Path
    sha256: str
    size: int
    how: str
    is_new: bool


def cache_folder() -> Path:
    """The folder of this user's fetched files: SURROGATE_CACHE, or the system's."""
    named = os.environ.get("SURROGATE_CACHE")
    if named:
        return Path(named)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "surrogate"
    if os.name == "nt":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData/Local") / "surrogate"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "surrogate"


def path_of(dump: Dump) -> Path:
    """Where a dump lies, or would."""
    return cache_folder() / "data" / dump.name / dump.file


def fetch(
    dump: Dump, *, progress: Progress | None = None, timeout: float = TIMEOUT
) -> Fetched:
    """Brings a dump to this machine, or finds that it is here.

    Args:
        dump: which.
        progress: told what has come.
        timeout: without a byte [s].

    Raises:
        DataError: it cannot be fetched, or what lies there is something else; with
            which file to put where.
    """
    path = path_of(dump)
    record = path.with_name(f"{path.name}.sha256")
    if path.exists():
        return _found(dump, path, record)
    if not dump.url:
        raise DataError(
            f"data fetch {dump.name}: expected a file that is published whole, but "
            f"this one was put together ({dump.source}). Put your copy at "
            f"{shown(path)}."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        digest = download(
            dump.url, path, sha256=dump.sha256, progress=progress, timeout=timeout
        )
    except DataError as error:
        raise DataError(
            f"data fetch {dump.name}: {error} Without a network, put {dump.url} at "
            f"{shown(path)}: it is taken from there."
        ) from error
    if not dump.sha256:
        write_whole(record, f"{digest}\n".encode())
    how = "pinned" if dump.sha256 else "recorded"
    return Fetched(dump, path, digest, path.stat().st_size, how, is_new=True)


def _found(dump: Dump, path: Path, record: Path) -> Fetched:
    """A dump that lies there already, checked."""
    try:
        data = read_regular(path, _MOST_BYTES)
        known = dump.sha256 or (
            read_regular(record, 1000).decode("ascii", "replace").strip()
            if record.exists()
            else ""
        )
    except OSError as error:
        raise DataError(
            f"data fetch {dump.name}: {shown(path)} cannot be read "
            f"({error.strerror or error}). Remove it and fetch again."
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if known and known != digest:
        raise DataError(
            f"data fetch {dump.name}: expected {shown(path)} with SHA-256 "
            f"{known[:16]}..., got {digest[:16]}.... Remove it and fetch again."
        )
    how = "pinned" if dump.sha256 else "recorded" if known else "placed"
    return Fetched(dump, path, digest, len(data), how, is_new=False)
