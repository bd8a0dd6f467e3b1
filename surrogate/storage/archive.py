"""A folder on disk: a readable manifest.json beside an orbax checkpoint of arrays.

The manifest names the schema, its own SHA-256 and that of every file of the checkpoint,
and `read` refuses a folder that differs: what was saved is what is answered from.
Nothing here is ever executed: JSON and arrays of numbers only.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from surrogate.base.errors import DataError
from surrogate.base.files import shown
from surrogate.base.units import quote
from surrogate.storage import checkpoint, sealed, swap
from surrogate.storage.checkpoint import Arrays
from surrogate.storage.sealed import ARRAYS, MANIFEST, seal

SCHEMA = 1
T = TypeVar("T")
_PREFIX = "bundled:"
# How often a folder is read that others keep replacing, and seconds between.
_READS, _PAUSE = 50, 0.005
# How the system, tensorstore and quotas say that a disk is full.
_FULL = ("No space left", "RESOURCE_EXHAUSTED", "quota exceeded", "too large")


def bundled() -> list[str]:
    """Names of the fits that came with the package."""
    folder = _bundles()
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if (p / MANIFEST).is_file())


def locate(name: str | Path) -> tuple[Path, str | None]:
    """The folder that a path or a bundled name means, and a warning where both exist.

    Raises:
        DataError: there is neither.
    """
    text = str(name)
    if text.startswith(_PREFIX):
        wanted = text.removeprefix(_PREFIX)
        if wanted in bundled():
            return _bundles() / wanted, None
        raise DataError(
            f"Expected a bundled fit ({', '.join(bundled()) or 'none'}), got "
            f"{quote(wanted)}."
        )
    folder = Path(name)
    if _is_there(folder):
        warning = (
            f"{text} is both a folder here and a bundled fit: the folder is used. "
            f"Write {_PREFIX}{text} for the bundled one."
        )
        return folder, warning if text in bundled() else None
    if text in bundled():
        return _bundles() / text, None
    raise DataError(
        f"Expected a fit: a folder written by `surrogate fit`, or a bundled name "
        f"({', '.join(bundled()) or 'none'}). There is nothing at {shown(text)}."
    )


def check_out(path: str | Path, *, overwrite: bool) -> None:
    """Refuse a folder that must not be written, or cannot be.

    Raises:
        DataError: it is a file, is not empty and `overwrite` is False, holds
            anything but a whole fit, or its place cannot be written to.
    """
    folder = _goal(path, overwrite)
    with _worded(path), swap.workshop(folder):
        pass  # what a save does first is what it may fail in


def write(
    path: str | Path,
    manifest: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    *,
    overwrite: bool,
) -> None:
    """Write a folder whole or not at all.

    At every moment either what was there or the new fit can be read, also if the
    process is killed or the power fails.

    Raises:
        DataError: the folder must not be written (`check_out`), or cannot be.
    """
    folder = _goal(path, overwrite)
    with _worded(path), swap.workshop(folder) as new:
        try:
            checkpoint.save(new / ARRAYS, arrays)
        except Exception as error:
            raise _unsaved(path, error) from error
        try:
            document = {"schema": SCHEMA, **manifest, **sealed.listed(new)}
        except sealed.Flaw as flaw:
            raise DataError(f"Cannot write to {shown(path)}: {flaw}.") from flaw
        document["sha256"] = seal(document)
        text = json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False)
        (new / MANIFEST).write_text(text + "\n", encoding="utf-8")
        swap.put(new, folder, lambda place: _check_free(place, path, overwrite))


def read(folder: Path) -> tuple[dict[str, Any], Arrays]:
    """The manifest and the arrays of a folder, checked.

    Each file is read once, and the arrays are made of the bytes that were checked: they
    are of one fit, whoever saves to the folder meanwhile.

    Raises:
        DataError: it is no fit, of another schema, or changed since it was written.
    """
    return _steadily(folder, lambda place: _read_once(place, folder))


def as_json(value: Any) -> Any:
    """Numbers, strings, lists and dicts with every unknown number as None."""
    if isinstance(value, Mapping):
        return {str(key): as_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(entry) for entry in value]
    if isinstance(value, np.generic):
        return as_json(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _bundles() -> Path:
    return Path(str(resources.files("surrogate"))) / "bundled"


def _is_there(folder: Path) -> bool:
    try:
        return swap.find(folder.resolve()).exists()
    except (OSError, RuntimeError):  # a name that no file could have, a loop of links
        return False


def _goal(path: str | Path, overwrite: bool) -> Path:
    """The folder that a path leads to, if it may be written.

    Raises:
        DataError: it may not.
    """
    try:
        # Resolved, so that a link to a fit stays one and what it leads to is replaced.
        folder = Path(path).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a NUL
        raise _unsaved(path, error) from error
    with _worded(path):
        swap.restore(folder)
        if os.path.lexists(path) or folder.exists():
            _steadily(folder, lambda place: _check_free(place, path, overwrite))
    return folder


def _check_free(folder: Path, path: str | Path, overwrite: bool) -> None:
    """Refuse to replace what is in `folder`, which is or was at `path`.

    Raises:
        DataError: it is neither empty nor, with `overwrite`, a whole fit.
    """
    if not folder.is_dir():
        raise DataError(f"Expected --out to be a folder, but {shown(path)} is a file.")
    if not any(folder.iterdir()):
        return
    if not overwrite:
        raise DataError(
            f"Expected --out to be new or empty, but {shown(path)} is not. Name "
            "another folder, or pass --overwrite to replace the fit in it."
        )
    try:
        sealed.check_alone(folder)
    except sealed.Flaw as flaw:
        raise DataError(
            f"--overwrite replaces a whole fit and nothing else, but {shown(path)} is "
            f"not that: {flaw}. Name another folder, or remove this one yourself."
        ) from flaw


@contextlib.contextmanager
def _worded(path: str | Path) -> Iterator[None]:
    """Word what the system says while a fit is written."""
    try:
        yield
    except OSError as error:
        raise _unsaved(path, error) from error


def _unsaved(path: str | Path, error: Exception) -> DataError:
    """What to tell of an error while a fit is written, which orbax may have raised."""
    said = getattr(error, "strerror", None) or " ".join(str(error).split())
    if any(word in said for word in _FULL):
        return DataError(
            f"Cannot write to {shown(path)}: there is no space left on its disk. Free "
            "some, or name another --out."
        )
    if isinstance(error, MemoryError) or "failed to map segment" in said:
        return DataError(
            f"Cannot write to {shown(path)}: there is not enough memory. Free some, or "
            "raise the limit (ulimit -v)."
        )
    kind = "" if isinstance(error, OSError) else f"{type(error).__name__}: "
    return DataError(
        f"Cannot write to {shown(path)}: {kind}{said[:200]}. Name another --out."
    )


def _steadily(folder: Path, ask: Callable[[Path], T]) -> T:
    """Ask something of a fit that others may replace meanwhile.

    Raises:
        DataError: as `ask`, of a folder that stayed; or none ever did.
    """
    for _ in range(_READS):
        place, before = _standing(folder)
        try:
            return ask(place)
        except (DataError, OSError):
            # Of a folder that was replaced meanwhile, what failed says nothing.
            if _standing(folder) == (place, before):
                raise
        time.sleep(_PAUSE)
    raise DataError(
        f"The fit in {shown(folder)} was replaced each of the {_READS} times that it "
        "was read. Try again when no save is running."
    )


def _standing(folder: Path) -> tuple[Path, tuple[int, ...] | None]:
    """Where a fit stands now, and what tells that folder from another in its place."""
    place = swap.find(folder.resolve())
    try:
        about = os.stat(place)
    except OSError:
        return place, None
    return place, (about.st_dev, about.st_ino, about.st_ctime_ns)


def _read_once(place: Path, folder: Path) -> tuple[dict[str, Any], Arrays]:
    manifest = _manifest(place, folder)
    try:
        files = sealed.contents(place, manifest)
    except sealed.Flaw as flaw:
        raise DataError(
            f"The fit in {shown(folder)} cannot be trusted: {flaw}. Fit again, or copy "
            "the folder anew."
        ) from flaw
    prefix = f"{ARRAYS}/"
    try:
        arrays = checkpoint.restore(
            {name.removeprefix(prefix): files[name] for name in files}
        )
    except ValueError as error:
        raise DataError(
            f"Expected an orbax checkpoint in {shown(folder / ARRAYS)}, and it cannot "
            f"be read ({error}). Fit again, or copy the folder anew."
        ) from error
    return manifest, arrays


def _manifest(place: Path, folder: Path) -> dict[str, Any]:
    """The manifest of what stands for `folder`, if it is one of this schema.

    Raises:
        DataError: it is not.
    """
    file = folder / MANIFEST
    if not os.path.lexists(place / MANIFEST):
        raise DataError(
            f"Expected a fit in {shown(folder)}, but it has no {MANIFEST}. Give a "
            "folder written by `surrogate fit`."
        )
    try:
        manifest = sealed.manifest(place)
    except sealed.Flaw as flaw:
        raise DataError(
            f"Expected a fit's manifest in {shown(file)}: {flaw}. Fit again, or copy "
            "the folder anew."
        ) from flaw
    if "schema" not in manifest:
        raise DataError(
            f"Expected a fit's manifest in {shown(file)}: it names no schema. Give a "
            "folder written by `surrogate fit`."
        )
    if manifest["schema"] != SCHEMA:
        raise DataError(
            f"Expected schema {SCHEMA} in {shown(file)}, got "
            f"{quote(repr(manifest['schema']))[1:-1]}. Fit again, or use the version "
            "that wrote it."
        )
    return manifest
