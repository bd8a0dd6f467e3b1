"""Files with care: read without waiting, written whole or not at all, kept on disk."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path

from surrogate.base import interrupts
from surrogate.base.units import quote

# What a system or file system says where a folder cannot be synced: no loss of ours.
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
# Do not wait for the writer of a pipe, do not follow a link out of the folder.
_READ = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOFOLLOW", "O_BINARY")
)


def shown(path: str | Path) -> str:
    """A path in quotes on one line, whole: its end is what tells it from others."""
    return quote(str(path), limit=4096)


def read_regular(path: Path, limit: int) -> bytes:
    """Read a regular file; its kind and size are known before its content is read.

    Raises:
        OSError: it cannot be opened, is no regular file, or is over `limit` bytes.
    """
    descriptor = os.open(path, _READ)
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        if about.st_size > limit:
            raise OSError(errno.EFBIG, f"it is longer than {limit:,} bytes")
        with open(descriptor, "rb", closefd=False) as stream:
            return stream.read(about.st_size)
    finally:
        os.close(descriptor)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    if os.name == "nt":  # which opens no folder, and syncs only what it may write
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its goal, with the usual permissions, then rename it.

    Raises:
        OSError: naming it, it cannot be written; what was there is as it was.
    """
    try:
        with interrupts.writing():
            _write_whole(path, content)
    except OSError as error:
        # Of its own file beside the goal, or of none where a disk is full.
        error.filename = str(path)
        raise


def _write_whole(path: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    sync(path.parent)
