"""A folder put in the place of another, so that one of the two always stands.

A save works in a hidden folder beside its goal, `.GOAL.<16 hex digits>.saving`. Of the
digits 8 are random and 8 follow from them and the goal, so that no other folder has
such a name by chance. It holds

- `owner`: is locked as long as the save's process lives, and says what the folder is;
- `new`: what will stand in the goal's place;
- `old`: what stood there, for a moment, where a system cannot exchange two folders in
  one step. While `new` and `old` both are there the goal is free, and `old` stands for
  it: `find` finds it, and `restore` puts it back.

What a dead save left is removed by the next save to the same goal.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from surrogate.base.files import sync

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_OWNER, _NEW, _OLD = "owner", "new", "old"
_PARTS = {_OWNER, _NEW, _OLD}
_NOTE = (
    b"A save by surrogate works in this folder. When no save is running, the next one "
    b"to the same place removes it.\n"
)
# Seconds that a save waits for others which swap folders in the same place, that the
# threads of a failed one are given to finish, and between two looks.
_PATIENCE, _SETTLED_AFTER, _PAUSE = 10.0, 2.0, 0.02
# From linux/fs.h and fcntl.h.
_RENAME_EXCHANGE, _AT_FDCWD = 2, -100
# EPERM: what some sandboxes say of a call that they do not know.
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)


def find(folder: Path) -> Path:
    """Where a folder stands: at its name, or where a dead save put it aside."""
    if os.path.lexists(folder):
        return folder
    return next((h / _OLD for h in _holders(folder) if _is_halfway(h)), folder)


def restore(folder: Path) -> None:
    """Put a folder back that a dead save put aside.

    Raises:
        OSError: it cannot be moved.
    """
    if find(folder) != folder:
        with _alone(folder.parent):
            _put_back(folder)


@contextlib.contextmanager
def workshop(folder: Path) -> Iterator[Path]:
    """A new, empty folder beside its goal, and no trace of it when the block ends.

    Raises:
        OSError: it cannot be made.
    """
    made: list[Path] = []
    holder = folder.with_name(_name(folder, secrets.token_hex(4)))
    is_done = False
    try:
        _make_parents(folder.parent, made)
        with contextlib.ExitStack() as stack:
            with _alone(folder.parent) as is_alone:
                _put_back(folder)
                if is_alone:
                    _clear(folder)
                os.mkdir(holder, 0o700)
                stack.enter_context(_owned(holder))
            os.mkdir(holder / _NEW)
            yield holder / _NEW
            is_done = True
    finally:
        _remove(holder, is_settled=is_done)
        for parent in reversed(made):
            with contextlib.suppress(OSError):  # it is in use
                os.rmdir(parent)


def put(new: Path, folder: Path, check: Callable[[Path], None]) -> None:
    """Put a folder of a `workshop` in its place, on disk before what was there goes.

    Args:
        new: the folder that `workshop` gave, filled.
        folder: its goal.
        check: raises where what stands in the goal must not be replaced. Also asked
            when that has been moved, so that nothing can come between.

    Raises:
        OSError: it cannot be moved; what was there is still there.
    """
    _sync_tree(new)
    with _alone(folder.parent):
        _put_back(folder)
        if _is_free(folder):
            os.rename(new, folder)
        else:
            check(folder)
            if exchange(new, folder):
                try:
                    check(new)
                except BaseException:
                    exchange(new, folder)
                    raise
            else:
                _put_in_two_steps(new, folder, check)
        sync(folder.parent)
        sync(new.parent)


def exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; False where the system has no such step.

    Raises:
        OSError: it has, but they cannot be moved.
    """
    call = _renameat2()
    if call is None:
        return False
    names = os.fsencode(one), os.fsencode(other)
    if call(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))


@functools.cache
def _renameat2() -> Callable[..., int] | None:
    """Linux's system call, from the C library."""
    if os.name != "posix":
        return None
    return getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)


def _put_in_two_steps(new: Path, folder: Path, check: Callable[[Path], None]) -> None:
    old = new.with_name(_OLD)
    try:
        os.rename(folder, old)
        # Between the steps, a power cut must find `old` where `find` looks.
        sync(new.parent)
        sync(folder.parent)
        check(old)
        os.rename(new, folder)
    except BaseException:
        # What happened is asked of the disk: an interrupt may follow any step.
        if not os.path.lexists(folder) and old.exists():
            os.rename(old, folder)
        raise


def _put_back(folder: Path) -> None:
    halfway = find(folder)
    if halfway != folder:
        os.rename(halfway, folder)
        sync(folder.parent)


def _is_free(folder: Path) -> bool:
    if not os.path.lexists(folder):
        return True
    return folder.is_dir() and not folder.is_symlink() and not os.listdir(folder)


def _name(folder: Path, digits: str) -> str:
    """Name the folder of a save: the goal, some digits, and those that follow."""
    text = f"surrogate {folder.name} {digits}"
    more = hashlib.sha256(os.fsencode(text)).hexdigest()[:8]
    return f".{folder.name}.{digits}{more}.saving"


def _holders(folder: Path) -> list[Path]:
    """Folders of saves to a goal: named by one, and holding nothing else."""
    start = len(f".{folder.name}.")
    try:
        beside = [n for n in os.listdir(folder.parent) if n.endswith(".saving")]
    except OSError:
        return []
    made = [n for n in sorted(beside) if n == _name(folder, n[start : start + 8])]
    return [h for h in map(folder.with_name, made) if _is_ours(h)]


def _is_halfway(holder: Path) -> bool:
    return (holder / _NEW).is_dir() and (holder / _OLD).is_dir()


def _is_ours(holder: Path) -> bool:
    try:
        return not holder.is_symlink() and set(os.listdir(holder)) <= _PARTS
    except OSError:
        return False


def _clear(folder: Path) -> None:
    """Remove what dead saves left; nobody else makes or removes such a folder now."""
    for holder in _holders(folder):
        if not _is_alive(holder):
            _remove(holder)


def _is_alive(holder: Path) -> bool:
    """Whether the process of a save still holds its lock."""
    try:
        owner = os.open(holder / _OWNER, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        return not _lock(owner)
    except OSError:
        return True
    finally:
        os.close(owner)


def _remove(holder: Path, *, is_settled: bool = True) -> None:
    """Remove a folder of a save, its owner last, as what is there without is dead.

    Args:
        holder: the folder.
        is_settled: False where threads of a failed save may still be writing.
    """
    last = time.monotonic() + _SETTLED_AFTER
    while True:
        for part in (_NEW, _OLD):
            shutil.rmtree(holder / part, ignore_errors=True)
        if is_settled or time.monotonic() > last:
            break
        time.sleep(_PAUSE)
        is_settled = not (holder / _NEW).exists()
    with contextlib.suppress(OSError):
        if os.listdir(holder) == [_OWNER]:
            os.unlink(holder / _OWNER)
        os.rmdir(holder)


@contextlib.contextmanager
def _owned(holder: Path) -> Iterator[None]:
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
    owner = os.open(holder / _OWNER, flags, 0o600)
    try:
        if fcntl is not None:
            with contextlib.suppress(OSError):
                _lock(owner)
        os.write(owner, _NOTE)
        yield
    finally:
        os.close(owner)


@contextlib.contextmanager
def _alone(parent: Path) -> Iterator[bool]:
    """Nobody else swaps folders here meanwhile; False where the system cannot tell.

    The lock is on the folder itself, so that it leaves no file behind.

    Raises:
        TimeoutError: others would not make room.
    """
    if fcntl is None:
        yield False
        return
    descriptor = os.open(parent, os.O_RDONLY)
    try:
        yield _wait_for_lock(descriptor)
    finally:
        os.close(descriptor)


def _wait_for_lock(descriptor: int) -> bool:
    last = time.monotonic() + _PATIENCE
    while True:
        try:
            if _lock(descriptor):
                return True
        except OSError:  # a network file system without locks
            return False
        if time.monotonic() > last:
            raise TimeoutError(
                errno.ETIMEDOUT, "another process is saving to the same place"
            )
        time.sleep(_PAUSE)


def _lock(descriptor: int) -> bool:
    """Lock an open file or folder until it is closed; False if another holds it."""
    module: Any = fcntl
    try:
        module.flock(descriptor, module.LOCK_EX | module.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make_parents(parent: Path, made: list[Path]) -> None:
    """Make the folders above the goal that are not there, and list them in `made`."""
    missing = []
    while not parent.exists():
        missing.append(parent)
        parent = parent.parent
    for folder in reversed(missing):
        with contextlib.suppress(FileExistsError):  # by another process
            os.mkdir(folder)
            made.append(folder)
            sync(folder.parent)


def _sync_tree(folder: Path) -> None:
    """Every file and folder, from the innermost."""
    for above, _, files in os.walk(folder, topdown=False):
        for name in files:
            sync(Path(above, name))
        sync(Path(above))
