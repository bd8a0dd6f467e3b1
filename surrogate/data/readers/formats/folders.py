"""A folder of runs, each with files of its own: its settings, and how it ended.

Hydra's multirun, the Trainer's output folders, W&B's run folders, or a JSON file a run.
What the files of a run say becomes one row; where two say different things under one
name, each is named after its file.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from surrogate.base.errors import DataError
from surrogate.data.readers.formats.content import Content, printable, read_content
from surrogate.data.readers.formats.csv import Table, decode
from surrogate.data.readers.formats.json import loads
from surrogate.data.readers.formats.plain_yaml import parse_yaml
from surrogate.data.readers.formats.records import flatten, from_records
from surrogate.data.readers.formats.trainer_state import is_trainer_state, record_of

_SUFFIXES = (".json", ".jsonl", ".yaml", ".yml")
_TABLES = (".csv", ".tsv", ".parquet", ".xlsx", ".md")
# What a run's folder holds besides.
_OTHERS = (
    *("tokenizer*", "vocab*", "special_tokens*", "generation_config*", "added_tokens*"),
    *("hydra.yaml", "overrides.yaml", "multirun.yaml", "wandb-metadata*", "*.index.*"),
    *("requirements*", "package*", "optimizer*"),
)
# Folders whose files are of the run above them, and such as hold no end of a run.
_PARTS = (".hydra", "files")
_SKIPPED = ("checkpoint*", "ckpt*", "logs", "code", "__pycache__", "node_modules")
_MOST_FILES, _MOST_BYTES, _MOST_DEPTH = 20_000, 2**22, 8


def read_folder(source: str | os.PathLike[str]) -> Table:
    """The runs below a folder, one a row.

    Raises:
        DataError: there are none, or too many files.
    """
    root, name = Path(source), printable(source)
    if (root / "manifest.json").is_file():
        raise DataError(
            f"{name}: expected a file of runs, got a directory that is a fit. Name the "
            "table it was fitted to."
        )
    runs = _by_run(root, name)
    if not runs:
        raise DataError(_nothing(root, name))
    digest = hashlib.sha256()
    records: list[tuple[int, dict[str, Any]]] = []
    for number, (run, files) in enumerate(sorted(runs.items()), start=1):
        record: dict[str, Any] = {"run": run}
        for file in sorted(files):
            content = read_content(file)
            digest.update(f"{file.relative_to(root)} {content.sha256}\n".encode())
            _add(record, file.stem, _cells(content))
        records.append((number, record))
    files = sum(map(len, runs.values()))
    note = (
        f"{name}: a folder of runs: {len(runs)} of them, from {files} files (runs are "
        "counted from 1 where a line is named)"
    )
    return from_records(name, digest.hexdigest(), records, notes=[note])


def _by_run(root: Path, name: str) -> dict[str, list[Path]]:
    """The files of each run, by its folder; of a folder of files each is a run."""
    runs: dict[str, list[Path]] = {}
    count = 0
    for folder, files in _walk(root):
        count += len(files)
        if count > _MOST_FILES:
            raise DataError(
                f"{name}: expected at most {_MOST_FILES:,} files of runs, got more. "
                "Name the folder of one sweep."
            )
        owner = _owner(root, folder, runs)
        if owner is not None:
            runs.setdefault(owner, []).extend(files)
    if runs:
        return runs
    own = [file for file in _own(root) if file.suffix in (".json", ".yaml", ".yml")]
    return {file.stem: [file] for file in own}


def _owner(root: Path, folder: Path, runs: dict[str, list[Path]]) -> str | None:
    """The run that a folder's files are of: the outermost that has some."""
    parts = folder.relative_to(root).parts
    if not parts:
        return None
    for k in range(1, len(parts)):
        outer = "/".join(parts[:k])
        if outer in runs:
            return outer
    kept = [part for part in parts if part not in _PARTS]
    return "/".join(kept) or None


def _walk(root: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Folders below one with files of runs in them, the outer before the inner."""
    for path, folders, _ in os.walk(root):
        folder = Path(path)
        depth = len(folder.relative_to(root).parts)
        folders[:] = sorted(
            inner
            for inner in folders
            if depth < _MOST_DEPTH
            and (inner in _PARTS or not inner.startswith("."))
            and not os.path.exists(folder / inner / "manifest.json")
            and not any(fnmatch.fnmatch(inner, skipped) for skipped in _SKIPPED)
        )
        files = _own(folder)
        if files:
            yield folder, files


def _own(folder: Path) -> list[Path]:
    """The files of runs that a folder holds itself."""
    return [
        file
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in _SUFFIXES
        and file.is_file()
        and file.stat().st_size <= _MOST_BYTES
        and not any(fnmatch.fnmatch(file.name, other) for other in _OTHERS)
    ]


def _cells(content: Content) -> dict[str, str]:
    """What a file says of its run."""
    file, text = content.file, decode(content)
    if content.suffix in (".yaml", ".yml"):
        return flatten(file, parse_yaml(text), 1)
    if content.suffix == ".jsonl":
        # The last line of a log; what is no record there says nothing.
        text = text.strip().rpartition("\n")[2]
    value = loads(file, text)
    if is_trainer_state(value):
        value, _ = record_of(file, value)
        value.pop("run", None)
    return flatten(file, value, 1) if isinstance(value, dict) else {}


def _add(record: dict[str, Any], stem: str, cells: dict[str, str]) -> None:
    """Cells of a file to a run's; a name that says something else takes the file's."""
    for name, text in cells.items():
        if text == "":
            continue
        if record.get(name, text) == text:
            record[name] = text
        elif not _is_same(record[name], text):
            record[f"{stem}.{name}"] = text


def _is_same(one: str, other: str) -> bool:
    try:
        return float(one) == float(other)
    except ValueError:
        return False


def _nothing(root: Path, name: str) -> str:
    tables = sorted(
        file.name for file in root.iterdir() if file.suffix.lower() in _TABLES
    )
    such = f", such as {json.dumps(tables[0])}" if tables else ""
    named = f"Name the file inside it{such}"
    return (
        f"{name}: expected a file of runs, got a directory. {named}; or a folder whose "
        "runs have JSON or YAML files of their own."
    )
