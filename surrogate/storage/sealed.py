"""A sealed folder: a manifest with its own SHA-256 and that of every file beside it.

What is wrong with one is a `Flaw`, half a sentence for the error of whoever asked.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from surrogate.base.files import read_regular
from surrogate.base.units import quote

MANIFEST = "manifest.json"
ARRAYS = "arrays"
# Bytes of a manifest, and of a file whose size the manifest does not tell.
_LONGEST, _LARGEST = 2**28, 2**30


class Flaw(Exception):
    """Why a folder is no sealed one, as a clause that follows a colon."""


def seal(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of what a manifest says, itself left out, whatever its layout."""
    rest = {key: value for key, value in manifest.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def listed(folder: Path) -> dict[str, dict[str, Any]]:
    """What a manifest says of the files under `arrays`: SHA-256 and size of each.

    Raises:
        Flaw: there is a link, or neither a file nor a folder.
    """
    names = [name for name, is_file in _entries(folder, ARRAYS) if is_file]
    contents = {name: _content(folder, name, _LARGEST) for name in sorted(names)}
    return {
        "files": {n: hashlib.sha256(c).hexdigest() for n, c in contents.items()},
        "sizes": {n: len(c) for n, c in contents.items()},
    }


def manifest(folder: Path) -> dict[str, Any]:
    """The JSON object in a folder's manifest, not yet checked.

    Raises:
        Flaw: there is none.
    """
    try:
        found = json.loads(_content(folder, MANIFEST, _LONGEST).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Flaw(f"{MANIFEST} is no JSON ({error})") from error
    if not isinstance(found, dict):
        raise Flaw(f"{MANIFEST} is no JSON object")
    return found


def contents(folder: Path, manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """The content of every file that a manifest lists, each read once and checked.

    Raises:
        Flaw: the manifest is not as it was sealed, or a file is not as listed.
    """
    named, sizes = manifest.get("files"), manifest.get("sizes", {})
    if not isinstance(named, dict) or not isinstance(sizes, dict):
        raise Flaw(f"{MANIFEST} has no list of files")
    try:
        is_sealed = manifest.get("sha256") == seal(manifest)
    except RecursionError:
        is_sealed = False
    if not is_sealed:
        raise Flaw(f"{MANIFEST} was changed after it was written")
    found = {name for name, is_file in _entries(folder, ARRAYS) if is_file}
    # All names before any content: what does not belong here may be of any size.
    for name in sorted(named.keys() ^ found):
        state = "is not in the manifest" if name in found else "is missing"
        raise Flaw(f"file {quote(name)} {state}")
    read = {}
    for name, digest in named.items():
        read[name] = _content(folder, name, sizes.get(name, _LARGEST))
        if hashlib.sha256(read[name]).hexdigest() != digest:
            raise Flaw(f"file {quote(name)} differs from its SHA-256 in the manifest")
    return read


def check_alone(folder: Path) -> None:
    """Refuse a folder that is not wholly sealed, or holds anything else.

    Raises:
        Flaw: what it holds or lacks.
    """
    extra = {entry.name for entry in os.scandir(folder)} - {MANIFEST, ARRAYS}
    if extra:
        raise Flaw(f"it also holds {quote(min(extra))}")
    about = manifest(folder)
    contents(folder, about)
    # Empty folders are all that the list of files cannot tell.
    used = {str(p) for name in about["files"] for p in Path(name).parents}
    for name, is_file in _entries(folder, ARRAYS):
        if not is_file and name not in used:
            raise Flaw(f"it also holds an empty folder, {quote(name)}")


def _entries(folder: Path, start: str) -> list[tuple[str, bool]]:
    """Names under `start`, with slashes, and whether each is a file or a folder.

    Raises:
        Flaw: one is a link, which could lead anywhere, or neither file nor folder.
    """
    if (folder / start).is_symlink():
        raise Flaw(f"{quote(start)} is a link")
    found: list[tuple[str, bool]] = []
    waiting = [start] if (folder / start).is_dir() else []
    while waiting:
        above = waiting.pop()
        try:
            entries = list(os.scandir(folder / above))
        except OSError as error:
            raise Flaw(_unread(f"folder {quote(above)}", error)) from error
        for entry in entries:
            name = f"{above}/{entry.name}"
            if entry.is_symlink():
                raise Flaw(f"{quote(name)} is a link")
            is_folder = entry.is_dir(follow_symlinks=False)
            if not is_folder and not entry.is_file(follow_symlinks=False):
                raise Flaw(f"{quote(name)} is neither a file nor a folder")
            found.append((name, not is_folder))
            if is_folder:
                waiting.append(name)
    return found


def _content(folder: Path, name: str, limit: Any) -> bytes:
    try:
        return read_regular(folder / name, int(limit))
    except (OSError, ValueError, TypeError) as error:
        code = getattr(error, "errno", None)
        if code == errno.ENOENT:
            raise Flaw(f"file {quote(name)} is missing") from error
        if code == errno.ELOOP:
            raise Flaw(f"{quote(name)} is a link") from error
        raise Flaw(_unread(f"file {quote(name)}", error)) from error


def _unread(what: str, error: Exception) -> str:
    return f"{what} cannot be read ({getattr(error, 'strerror', None) or error})"
