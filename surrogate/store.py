"""A folder on disk: a readable manifest.json beside an orbax checkpoint of arrays.

The manifest names the schema, its own SHA-256 and that of every file of the checkpoint,
and `read` refuses a folder that differs: what was saved is what is answered from.
Nothing here is ever executed: JSON and arrays of numbers only.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from surrogate.errors import DataError
from surrogate.units import quote

SCHEMA = 1
MANIFEST = "manifest.json"
_ARRAYS = "arrays"
_PREFIX = "bundled:"
Arrays = dict[str, np.ndarray]


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
    if folder.exists():
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
    """Refuse a folder that must not be written.

    Raises:
        DataError: it is a file, is not empty and `overwrite` is False, or holds
            something that is no fit.
    """
    folder = Path(path)
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir():
        raise DataError(f"Expected --out to be a folder, but {shown(path)} is a file.")
    if not any(folder.iterdir()):
        return
    if not overwrite:
        raise DataError(
            f"Expected --out to be new or empty, but {shown(path)} is not. Name "
            "another folder, or pass --overwrite to replace the fit in it."
        )
    extra = {entry.name for entry in folder.iterdir()} - {MANIFEST, _ARRAYS}
    if extra or not _is_ours(folder / MANIFEST):
        what = (
            f"it also holds {quote(min(extra))}"
            if extra
            else f"it has no {MANIFEST} of a fit"
        )
        raise DataError(
            f"--overwrite replaces a fit and nothing else, but {shown(path)} is "
            f"not only a fit: {what}. Name another folder."
        )


def write(
    path: str | Path,
    manifest: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    *,
    overwrite: bool,
) -> None:
    """Write a folder whole or not at all.

    Raises:
        DataError: the folder must not be written (`check_out`), or cannot be.
    """
    check_out(path, overwrite=overwrite)
    # Resolved, so that a link to a fit stays one and what it leads to is replaced.
    folder = Path(path).resolve()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Beside its goal, so that the last step is a rename on one file system.
        partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise DataError(
            f"Cannot write to {shown(path)}: {error.strerror}. Name another --out."
        ) from error
    try:
        _save_arrays(partial / _ARRAYS, arrays)
        document = {"schema": SCHEMA, **manifest, "files": _digests(partial)}
        document["sha256"] = seal(document)
        text = json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False)
        (partial / MANIFEST).write_text(text + "\n", encoding="utf-8")
        partial.chmod(0o755)
        _swap(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _swap(new: Path, folder: Path) -> None:
    """Put a folder in another's place; what was there is removed last."""
    if not folder.exists():
        os.replace(new, folder)
        return
    aside = new.with_name(f"{new.name}.old")
    os.replace(folder, aside)
    try:
        os.replace(new, folder)
    except BaseException:
        os.replace(aside, folder)
        raise
    shutil.rmtree(aside)


def read(folder: Path) -> tuple[dict[str, Any], Arrays]:
    """The manifest and the arrays of a folder, checked.

    Raises:
        DataError: it is no fit, of another schema, or changed since it was written.
    """
    manifest = _manifest(folder)
    if manifest.get("sha256") != seal(manifest):
        raise DataError(
            f"The fit in {shown(folder)} cannot be trusted: {MANIFEST} was changed "
            "after it was written. Fit again, or copy the folder anew."
        )
    named = manifest["files"]
    found = _digests(folder)
    for name in sorted(set(named) | set(found)):
        if named.get(name) != found.get(name):
            state = (
                "is missing"
                if name not in found
                else "is not in the manifest"
                if name not in named
                else "differs from its SHA-256 in the manifest"
            )
            raise DataError(
                f"The fit in {shown(folder)} cannot be trusted: file "
                f"{quote(name)} {state}. Fit again, or copy the folder anew."
            )
    return manifest, _load_arrays(folder / _ARRAYS)


def seal(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of what a manifest says, itself left out, whatever its layout."""
    rest = {key: value for key, value in manifest.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def shown(path: str | Path) -> str:
    """A path in quotes on one line, whole: its end is what tells it from others."""
    return quote(str(path), limit=4096)


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


def _is_ours(manifest: Path) -> bool:
    """Whether it is the manifest of a fit, of any schema: others use that name too."""
    try:
        found = json.loads(manifest.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        return False
    return isinstance(found, dict) and {"schema", "files"} <= found.keys()


def _manifest(folder: Path) -> dict[str, Any]:
    file = folder / MANIFEST
    if not file.is_file():
        raise DataError(
            f"Expected a fit in {shown(folder)}, but it has no {MANIFEST}. Give a "
            "folder written by `surrogate fit`."
        )
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DataError(
            f"Expected JSON in {shown(file)}, got something else ({error}). Fit "
            "again, or copy the folder anew."
        ) from error
    if not isinstance(manifest, dict) or "schema" not in manifest:
        raise DataError(
            f"Expected a fit's manifest in {shown(file)}: it names no schema."
        )
    if manifest["schema"] != SCHEMA:
        raise DataError(
            f"Expected schema {SCHEMA} in {shown(file)}, got "
            f"{manifest['schema']!r}. Fit again, or use the version that wrote it."
        )
    if not isinstance(manifest.get("files"), dict):
        raise DataError(
            f"Expected the list of files in {shown(file)}, and there is none. Fit "
            "again, or copy the folder anew."
        )
    return manifest


def _digests(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(
            file.read_bytes()
        ).hexdigest()
        for file in _files(folder / _ARRAYS)
    }


def _files(folder: Path) -> Iterator[Path]:
    for entry in (folder, *sorted(folder.rglob("*"))):
        # A link could lead out of the folder, and so could what it leads to.
        if entry.is_symlink():
            raise DataError(
                f"The fit cannot be trusted: {shown(entry)} is a link. Copy the "
                "folder with its files."
            )
        if entry.is_file():
            yield entry


def _save_arrays(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    import orbax.checkpoint as ocp

    # Orbax saves no empty array: what is missing when read back was empty.
    kept = {name: np.asarray(array) for name, array in arrays.items() if array.size}
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(folder.absolute(), kept)


def _load_arrays(folder: Path) -> Arrays:
    import orbax.checkpoint as ocp

    # Orbax finds nothing under a relative path.
    folder = folder.absolute()
    try:
        with ocp.PyTreeCheckpointer() as checkpointer:
            tree = checkpointer.metadata(folder).item_metadata.tree
            how = {name: ocp.RestoreArgs(restore_type=np.ndarray) for name in tree}
            return dict(checkpointer.restore(folder, restore_args=how))
    except (ValueError, OSError, KeyError, AttributeError) as error:
        raise DataError(
            f"Expected an orbax checkpoint in {shown(folder)}, and orbax cannot "
            f"read it ({type(error).__name__}: {error}). Fit again, or copy the folder "
            "anew."
        ) from error
