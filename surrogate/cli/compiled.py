"""Compiled programs that a later process finds again, in the user's cache folder.

JAX keeps them (`JAX_COMPILATION_CACHE_DIR`); here is decided where, for whom and how
much. A program is machine code: a folder is of one jaxlib and one CPU, and only its
owner may write to it. Whatever is wrong with a folder costs one warning, never a fit.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

SWITCH = "SURROGATE_CACHE"
# All programs together may take so much [bytes]; the longest unused go first.
MOST = 256 * 2**20
# A disk with less than this left is full [bytes].
LEAST_FREE = 32 * 2**20
# Shorter compilations are not worth a file [s].
_WORTH = "0.1"
_FOLDER = "JAX_COMPILATION_CACHE_DIR"
_OURS = {_FOLDER, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"}
_SUFFIX = "-cache"
_MACHINE = "machine"
# How JAX begins what it warns of.
_FAULTS = {
    "Error reading persistent compilation cache": "a program in it cannot be read",
    "Error writing persistent compilation cache": "a program cannot be written to it",
}

Say = Callable[[str], None]


class Unusable(Exception):
    """A cache folder cannot be used; says why."""


def keep(say: Say) -> None:
    """Let JAX, which is imported after this, keep what it compiles.

    Does nothing where SURROGATE_CACHE=off, where the user gave JAX a folder, or where
    JAX is imported already and would not hear of it.

    Args:
        say: told, once, why there is no cache.
    """
    is_off = os.environ.get(SWITCH, "").strip().casefold() == "off"
    if is_off or os.environ.keys() & _OURS or "jax" in sys.modules:
        return
    machine = this_machine()
    home = user_cache() / "surrogate" / "programs"
    folder = home / f"jaxlib-{_version()}-{machine[:12]}"
    try:
        prepare(folder, machine)
        trim(home)
    except (OSError, Unusable) as error:
        say(_unused(folder, str(error)))
        return
    os.environ[_FOLDER] = str(folder)
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = _WORTH


def user_cache() -> Path:
    """Where the system wants what can be made again."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    name = "LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME"
    given = os.environ.get(name, "")
    # The specification of XDG: a path that is not absolute is to be ignored.
    return Path(given) if os.path.isabs(given) else Path.home() / ".cache"


def this_machine() -> str:
    """A digest of the CPU and what it can do, for which programs are compiled."""
    said = [platform.system(), platform.machine(), platform.processor()]
    about: dict[str, str] = {}
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as lines:
        for line in lines:
            key, _, value = line.partition(":")
            about.setdefault(key.strip(), value.strip())
    said += [about.get(k, "") for k in ("model name", "flags", "CPU part", "Features")]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()


def prepare(folder: Path, machine: str) -> None:
    """Make a folder, or see that it is ours and of this machine.

    Raises:
        OSError: it cannot be made or written to.
        Unusable: what is there is not to be trusted, or the disk is full.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = folder.stat()
    if os.name != "nt":
        if about.st_uid != os.getuid():
            raise Unusable("it belongs to another user")
        if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise Unusable("others may write to it")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Unusable("it cannot be written to")
    if shutil.disk_usage(folder).free < LEAST_FREE:
        raise Unusable("its disk is full")
    mark = folder / _MACHINE
    if not mark.exists():
        mark.write_text(machine)
    elif mark.read_text(errors="replace") != machine:
        raise Unusable("its programs are of another CPU")


def trim(home: Path, most: int = MOST) -> None:
    """Remove what was longest unused, of all folders, until the rest is small enough.

    Raises:
        OSError: a file cannot be removed.
    """
    found = [(entry, entry.stat()) for entry in _programs(home)]
    total = sum(about.st_size for _, about in found)
    for entry, about in sorted(found, key=lambda pair: max(pair[1][7:9])):
        if total <= most:
            break
        entry.unlink(missing_ok=True)
        total -= about.st_size


def heard(message: str, say: Say) -> bool:
    """Whether a warning is JAX's about our folder; the first is told in our words.

    What could not be read is removed with all that lies beside it, and so compiled and
    kept anew: JAX never writes over a program.
    """
    reason = next((said for begin, said in _FAULTS.items() if begin in message), None)
    if reason is None or _FOLDER not in os.environ:
        return False
    folder = Path(os.environ[_FOLDER])
    if folder not in _told:
        _told.add(folder)
        for entry in _programs(folder):
            with contextlib.suppress(OSError):
                entry.unlink()
        say(_unused(folder, f"{reason} ({message.rpartition(': ')[2]})"))
    return True


# Folders of which something was said.
_told: set[Path] = set()


def _unused(folder: Path, reason: str) -> str:
    return (
        f"Compiled programs are not taken from {folder}: {reason}. The work goes on, "
        f"and compiles. Remove the folder, or set {SWITCH}=off to do without."
    )


def _programs(home: Path) -> Iterator[Path]:
    yield from home.rglob(f"*{_SUFFIX}")


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("jaxlib")
    except metadata.PackageNotFoundError:
        return "unknown"
