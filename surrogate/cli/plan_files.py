"""A plan of runs as files for what starts them: CSV, W&B, Optuna, a list, JSON."""

from __future__ import annotations

import csv
import importlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from surrogate.base import shown
from surrogate.base.errors import DataError
from surrogate.base.files import write_whole

Document = dict[str, Any]


def check(files: Sequence[Path], optuna: str | None, overwrite: bool) -> None:
    """Refuse at once what could not be written after the work.

    Raises:
        DataError: a suffix says no format, a file exists, or Optuna is not installed.
    """
    for file in files:
        if file.suffix.lower() not in _FORMATS:
            raise DataError(
                f"--out: expected a name that ends in {', '.join(_FORMATS)}, got "
                f"{file.name}. Write plan.csv, say."
            )
        if file.is_dir():
            raise DataError(f"--out {file}: expected a file to write, got a directory.")
        if file.exists() and not overwrite:
            raise DataError(
                f"--out {file}: the file exists. Name another, or add --overwrite."
            )
    if optuna is not None:
        _optuna()


def write(file: Path, document: Document) -> Path:
    """Write the plan in the format that the name ends in.

    Args:
        file: where.
        document: the plan's JSON.
    """
    write_whole(file, _FORMATS[file.suffix.lower()](document).encode())
    return file


def as_csv(document: Document) -> str:
    """A run a line, in order, with what is known after it."""
    rows = [settings(run) for run in document["runs"]]
    names = [*(rows[0] if rows else ("seed",)), "flops", "flops_total"]
    after = ("lr_factor", "batch_factor", "regret_upper")
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*names, *(f"{name}_after" for name in after)])
    for run, row in zip(document["runs"], rows, strict=True):
        costs = [run["flops"], run["flops_total"]]
        known = [run["after"][name] for name in after]
        cells = [*row.values(), *costs, *known]
        writer.writerow(["" if cell is None else _cell(cell) for cell in cells])
    return stream.getvalue()


def _cell(value: float | int) -> str:
    number = float(value)
    return str(int(number)) if number.is_integer() and number < 1e15 else repr(number)


def settings(run: Document) -> dict[str, float | int]:
    """What a trainer is told of a run: settings, sizes and a seed of its own."""
    found = {name: run[name] for name in ("lr", "batch", "params", "tokens")}
    found |= {name: value for name, value in run["scales"].items()}
    known = {name: _whole(value) for name, value in found.items() if value is not None}
    return known | {"seed": run["seed"]}


def _whole(value: float | int) -> float | int:
    number = float(value)
    return int(number) if number.is_integer() else number


def as_sweep(document: Document) -> str:
    """A W&B sweep over the runs: each is one value of the parameter `run`.

    A grid tries every value of a parameter once, mappings as well, and in order.
    """
    lines = [
        "# wandb sweep THIS_FILE; the trainer reads wandb.config.run['lr'] and so on,",
        "# batch in tokens per step. In the order that tells most first.",
        "program: train.py",
        "method: grid",
        "parameters:",
        "  run:",
        "    values:",
    ]
    # Every JSON object is a YAML mapping.
    lines += [f"      - {json.dumps(settings(run))}" for run in document["runs"]]
    return "\n".join(lines) + "\n"


def as_list(document: Document) -> str:
    """A run a line, as options of a trainer."""
    lines = [
        " ".join(f"--{name} {value}" for name, value in settings(run).items())
        for run in document["runs"]
    ]
    return "".join(f"{line}\n" for line in lines)


def as_json(document: Document) -> str:
    """The document itself."""
    return json.dumps(document, allow_nan=False) + "\n"


_FORMATS: dict[str, Callable[[Document], str]] = {
    ".csv": as_csv,
    ".yaml": as_sweep,
    ".yml": as_sweep,
    ".txt": as_list,
    ".json": as_json,
}


def enqueue(storage: str, study: str, document: Document) -> str:
    """Enqueue the runs as trials of an Optuna study, made where there is none.

    Args:
        storage: its URL, such as sqlite:///plan.db.
        study: its name.
        document: the plan's JSON.

    Returns:
        What was written, for people.

    Raises:
        DataError: Optuna is not installed, or does not take the storage.
    """
    optuna = _optuna()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        found = optuna.create_study(
            storage=storage, study_name=study, direction="minimize", load_if_exists=True
        )
        for run in document["runs"]:
            about = {"flops": run["flops"], "planned_by": "surrogate next"}
            found.enqueue_trial(settings(run), user_attrs=about)
    except Exception as error:
        first = next(iter(str(error).splitlines()), "")
        raise DataError(
            f"--optuna: expected a storage that Optuna takes, such as "
            f"sqlite:///plan.db, got {storage}: {first or type(error).__name__}."
        ) from error
    return f"{storage} (study {study}, {shown.count(len(document['runs']))} trials)"


def _optuna() -> Any:
    """The package.

    Raises:
        DataError: it is not installed.
    """
    try:
        return importlib.import_module("optuna")
    except ImportError as error:
        raise DataError(
            "--optuna needs the package optuna, which is not installed: pip install "
            "'loss-surrogate[optuna]'. Or write --out plan.csv or plan.yaml (W&B)."
        ) from error
