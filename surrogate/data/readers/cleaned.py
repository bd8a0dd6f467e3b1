"""A cleaned table: what was read of runs, with a header that reads without flags."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np

from surrogate.base.errors import DataError
from surrogate.base.files import shown, write_whole
from surrogate.data import SETTINGS, Runs
from surrogate.data.readers import read_runs
from surrogate.data.readers.formula import guarded_row

_LOSSES = {
    ("nats", "validation"): "val_loss",
    ("nats", "train"): "train_loss",
    ("nats", "train_smoothed"): "smooth_loss",
    ("bits_per_byte", "validation"): "val_bpb",
    ("bits_per_byte", "unknown"): "bpb",
}
_PARAMS = {"non_embedding": "non_embedding_params", "total": "total_params"}


def check_out(path: Path, *, overwrite: bool) -> None:
    """Refuse a place where a cleaned table cannot be.

    Raises:
        DataError: it does not end in .csv, is a folder, or exists.
    """
    if path.suffix.lower() != ".csv":
        raise DataError(
            f"--fix {shown(path)}: expected a file that ends in .csv. Name it so."
        )
    if path.is_dir() or not path.parent.is_dir():
        raise DataError(
            f"--fix {shown(path)}: expected a file in a folder that exists. Correct it."
        )
    if path.exists() and not overwrite:
        raise DataError(
            f"--fix {shown(path)}: expected a new file, but it exists. Name another, "
            "or add --overwrite."
        )


def write_cleaned(runs: Runs, path: Path) -> list[str]:
    """Write runs as CSV and read them again; what is not told by names is returned.

    Args:
        runs: as they were read.
        path: the file to write.

    Returns:
        What to know of the file: flags that it needs, or what it does not keep.
    """
    for is_marked in (False, True):
        content = _text(runs, is_marked)
        write_whole(path, content.encode())
        try:
            again = read_runs(path, scales={name: name for name in runs.scales})
        except DataError as error:
            return [f"{path} needs the flags of this check: {error}"]
        if _is_same(runs, again):
            break
    notes = []
    if runs.scales:
        flags = " ".join(f"--scale {name}={name}" for name in runs.scales)
        notes.append(f"{path} reads with {flags}")
    if not _is_same(runs, again):
        notes.append(f"{path} reads as other runs: keep to the file that was checked")
    if (runs.loss_kind, runs.params_kind) != (again.loss_kind, again.params_kind):
        notes.append(
            f"{path} reads so with --loss-kind {runs.loss_kind} --params-kind "
            f"{runs.params_kind}"
        )
    if runs.seed_noise is not None:
        notes.append(f"{path} has no seeds: say --seed-noise where it is asked")
    return notes


def _is_same(runs: Runs, again: Runs) -> bool:
    return (
        len(runs) == len(again)
        and all(
            np.array_equal(getattr(runs, key), getattr(again, key), equal_nan=True)
            for key in (*SETTINGS, "loss")
        )
        and np.array_equal(runs.verdict, again.verdict)
        and np.array_equal(runs.recipe, again.recipe)
    )


def _text(runs: Runs, is_marked: bool) -> str:
    """The runs as CSV; `is_marked` with a column of what diverged."""
    columns: dict[str, list[str]] = {
        "lr": _numbers(runs.lr),
        "batch": _numbers(runs.batch),
        _PARAMS.get(runs.params_kind, "params"): _numbers(runs.params),
        "tokens": _numbers(runs.tokens),
        _loss_name(runs): _numbers(runs.loss),
    }
    columns |= {name: _numbers(values) for name, values in runs.scales.items()}
    if any(runs.recipe):
        columns["recipe"] = runs.recipe.tolist()
    names = runs.name.tolist()
    if all(names) and len(set(names)) == len(names):
        columns["name"] = names
    if is_marked:
        columns["diverged"] = ["true" if x else "false" for x in runs.diverged]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(guarded_row(r) for r in zip(*columns.values(), strict=True))
    return stream.getvalue()


def _loss_name(runs: Runs) -> str:
    unit = runs.loss_unit
    return _LOSSES.get((unit, runs.loss_kind), "loss" if unit == "nats" else "bpb")


def _numbers(values: np.ndarray) -> list[str]:
    """Every digit; what is not finite diverged."""
    return [repr(float(v)) if math.isfinite(v) else "nan" for v in values]
