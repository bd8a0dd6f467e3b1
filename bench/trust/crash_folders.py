"""Folders that `--overwrite` must not replace, each made from a fit."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from surrogate.storage import archive


def _document(folder: Path) -> dict:
    return json.loads((folder / archive.MANIFEST).read_text(encoding="utf-8"))


def _write(folder: Path, text: str) -> None:
    (folder / archive.MANIFEST).write_text(text, encoding="utf-8")


def _largest(folder: Path) -> Path:
    files = [file for file in (folder / archive.ARRAYS).rglob("*") if file.is_file()]
    return max(files, key=lambda file: file.stat().st_size)


def _own_arrays(folder: Path) -> None:
    """What was destroyed once: a user's arrays, and a manifest of theirs."""
    shutil.rmtree(folder / archive.ARRAYS)
    (folder / archive.ARRAYS).mkdir()
    (folder / archive.ARRAYS / "years_of_work.npy").write_bytes(b"numbers")
    _write(folder, '{"schema": 1, "files": []}')


def _own_arrays_in_its_list(folder: Path) -> None:
    _own_arrays(folder)
    _write(folder, '{"schema": 1, "files": {"arrays/years_of_work.npy": "0"}}')


def _tampered(folder: Path) -> None:
    _write(folder, json.dumps(_document(folder) | {"number": 7}))


def _unsealed(folder: Path) -> None:
    rest = {k: v for k, v in _document(folder).items() if k != "sha256"}
    _write(folder, json.dumps(rest))


def _damaged(folder: Path) -> None:
    content = bytearray(_largest(folder).read_bytes())
    content[len(content) // 2] ^= 1
    _largest(folder).write_bytes(content)


def _linked_file(folder: Path) -> None:
    shutil.move(_largest(folder), folder.parent / "elsewhere")
    (folder / archive.ARRAYS / "more").symlink_to(folder.parent / "elsewhere")


def _linked_arrays(folder: Path) -> None:
    shutil.move(folder / archive.ARRAYS, folder.parent / "elsewhere")
    (folder / archive.ARRAYS).symlink_to(folder.parent / "elsewhere")


def _linked_manifest(folder: Path) -> None:
    shutil.move(folder / archive.MANIFEST, folder.parent / "elsewhere")
    (folder / archive.MANIFEST).symlink_to(folder.parent / "elsewhere")


def _own_folder(folder: Path) -> None:
    shutil.rmtree(folder)
    (folder / "thesis").mkdir(parents=True)
    (folder / "thesis" / "chapter.tex").write_text("years of work")


def _file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("years of work")


def _deep(folder: Path) -> None:
    _write(folder, "[" * 100_000)


def _deep_value(folder: Path) -> None:
    text = json.dumps(_document(folder))
    _write(folder, text[:-1] + ', "deep": ' + "[" * 50_000 + "]" * 50_000 + "}")


# What the message must say, and how the folder comes about.
KINDS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a user's arrays beside schema and files": ("list of files", _own_arrays),
    "a user's arrays in a list without a seal": ("changed", _own_arrays_in_its_list),
    "a note beside the manifest": (
        "holds 'notes.txt'",
        lambda f: (f / "notes.txt").write_text("mine"),
    ),
    "a hidden file": ("holds '.mine'", lambda f: (f / ".mine").write_text("mine")),
    "a folder beside the manifest": ("holds 'mine'", lambda f: (f / "mine").mkdir()),
    "a file among the arrays": (
        "'arrays/mine' is not in",
        lambda f: (f / "arrays" / "mine").write_text("mine"),
    ),
    "a file deep among the arrays": (
        "'arrays/d/mine' is not in",
        lambda f: (f / "arrays" / "d" / "mine").write_text("mine"),
    ),
    "a hidden file among the arrays": (
        "'arrays/.mine' is not in",
        lambda f: (f / "arrays" / ".mine").write_text("mine"),
    ),
    "an empty folder among the arrays": (
        "empty folder, 'arrays/mine'",
        lambda f: (f / "arrays" / "mine").mkdir(),
    ),
    "a link to a file": ("is a link", _linked_file),
    "a link to the arrays": ("'arrays' is a link", _linked_arrays),
    "a link to the manifest": ("'manifest.json' is a link", _linked_manifest),
    "a pipe among the arrays": (
        "neither a file",
        lambda f: os.mkfifo(f / "arrays" / "pipe"),
    ),
    "a pipe beside the manifest": ("holds 'pipe'", lambda f: os.mkfifo(f / "pipe")),
    "a manifest that was changed": ("changed after", _tampered),
    "a manifest without its seal": ("changed after", _unsealed),
    "a damaged array": ("differs from its SHA-256", _damaged),
    "an array lost": ("is missing", lambda f: _largest(f).unlink()),
    "no manifest": ("is missing", lambda f: (f / archive.MANIFEST).unlink()),
    "another program's manifest": (
        "list of files",
        lambda f: _write(f, '{"name": "app", "icons": [], "schema": 3}'),
    ),
    "an empty manifest": ("no JSON", lambda f: _write(f, "")),
    "a manifest that is a list": ("no JSON object", lambda f: _write(f, "[1]")),
    "deep JSON": ("no JSON", _deep),
    "deep JSON in a value": ("no JSON", _deep_value),
    "a user's own folder": ("holds 'thesis'", _own_folder),
    "a file": ("is a file", _file),
}


def picture(folder: Path) -> dict[str, bytes | str]:
    """All that is beside a folder and in it, to tell whether anything was touched."""
    return {
        str(path.relative_to(folder)): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else f"mode {path.stat().st_mode:o}"
        for path in sorted(folder.rglob("*"))
    }
