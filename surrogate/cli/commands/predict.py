"""`predict`: a file of points in, the same file with predictions beside them out."""

from __future__ import annotations

import csv
import io
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from surrogate.answers import Fit, Prediction, load
from surrogate.base.errors import DataError, Status
from surrogate.base.files import write_whole
from surrogate.base.units import quote
from surrogate.cli import documents, output
from surrogate.data import SETTINGS
from surrogate.data.readers.formula import guarded_row
from surrogate.data.readers.points import Points, read_points

ADDED = ("loss", "loss_low", "loss_high", "inside", "distance", "status")


class ForAll(NamedTuple):
    """What is said of all points.

    Attributes:
        recipe: where the file has no such column.
        scales: further scale values, where the file has no such column.
        seed_noise: relative standard deviation between seeds, where it is known.
        allow: what is answered though it looks like a slip.
    """

    recipe: str | None
    scales: dict[str, float] | None
    seed_noise: float | None
    allow: Sequence[str]


def predict_points(
    fit: str, points: Path, out: Path, every: ForAll, *, overwrite: bool
) -> dict[str, Any]:
    """Predict at every point of a file and write the file with the answers.

    Args:
        fit: a folder or the name of a bundled fit.
        points: the CSV file to read.
        out: the CSV file to write.
        every: what is said of all points.
        overwrite: whether `out` may be replaced.

    Returns:
        The JSON document.

    Raises:
        DataError: if the file, the recipe or a scale is not what the fit needs, or
            `out` exists.
    """
    check_out(out, points, overwrite)
    fitted = load(fit)
    table = read_points(points, scales=fitted.scale_names)
    _check_header(table, fit)
    usable = np.array([not reason for reason in table.reasons])
    statuses = list(table.reasons)
    recipes = _recipes(table, every.recipe, fitted, statuses, usable)
    document, cells = {}, [[""] * (len(ADDED) - 1) for _ in statuses]
    if usable.any():
        answer = fitted.predict(
            *(getattr(table, name)[usable] for name in SETTINGS),
            scales=_scales(table, every.scales, usable),
            recipe=recipes,
            seed_noise=every.seed_noise,
            allow=every.allow,
        )
        document = answer.to_json()
        for row, values in zip(np.flatnonzero(usable), _cells(answer), strict=True):
            cells[row], statuses[row] = values
    told = zip(table.rows, cells, statuses, strict=True)
    _write(out, [*table.header, *ADDED], ([*a, *b, status] for a, b, status in told))
    refused = Counter(reason for reason in statuses if reason != "ok").most_common()
    return {
        **documents.with_common_keys(document),
        "schema": output.SCHEMA,
        "status": Status.ok,
        "out": str(out),
        "points": len(statuses),
        "answered": sum(status == "ok" for status in statuses),
        "refused": dict(refused),
    }


def check_out(out: Path, points: Path, overwrite: bool) -> None:
    """Refuse to write over what is there.

    Raises:
        DataError: a folder, the points themselves, or a file without `overwrite`.
    """
    if out.is_dir():
        raise DataError(f"--out {out}: expected a file to write, got a directory.")
    if not out.exists():
        return
    if points.exists() and out.samefile(points):
        raise DataError(f"--out {out}: is the file of points itself. Name another.")
    if not overwrite:
        raise DataError(
            f"--out {out}: the file exists. Name another, or add --overwrite."
        )


def _check_header(table: Points, fit: str) -> None:
    taken = [name for name in table.header if name in ADDED]
    if taken == ["loss"]:
        command = shlex.join(["surrogate", "evaluate", fit, str(table.file)])
        raise DataError(
            f"{table.file} line 1: column 'loss' has the name of a column that predict "
            "adds. If it holds finished runs, score the fit on them: "
            f"`{command}`. To predict all the same, rename it, for example "
            "measured_loss."
        )
    if taken:
        raise DataError(
            f"{table.file} line 1: column {quote(taken[0])} has the name of a column "
            f"that predict adds ({', '.join(ADDED)}). Rename it, for example "
            f"measured_{taken[0]}."
        )


def _recipes(
    table: Points,
    recipe: str | None,
    fitted: Fit,
    statuses: list[str],
    usable: np.ndarray,
) -> list[str] | str | None:
    """The recipes of the usable rows; rows of an unknown one are marked as refused."""
    if table.recipe is None:
        return recipe
    if recipe is not None:
        raise DataError(
            f"--recipe: {table.file} has a column recipe, and --recipe names "
            f"{quote(recipe)} for all rows. Leave one of them out."
        )
    known = ", ".join(quote(name) for name in fitted.recipes)
    for row in np.flatnonzero(usable):
        name = table.recipe[row]
        if name not in fitted.recipes:
            statuses[row] = f"recipe: {quote(name)} is not among the fit's ({known})"
            usable[row] = False
    return [table.recipe[row] for row in np.flatnonzero(usable)]


def _scales(
    table: Points, scales: dict[str, float] | None, usable: np.ndarray
) -> dict[str, Any] | None:
    """Further scales of the usable rows: a column, else the value given for all."""
    for name in scales or {}:
        if name in table.scales:
            raise DataError(
                f"--scale {name}: {table.file} has a column of that name. Leave one "
                "of them out."
            )
    columns = {name: values[usable] for name, values in table.scales.items()}
    whole = {
        name: np.full(usable.sum(), value) for name, value in (scales or {}).items()
    }
    return {**columns, **whole} or None


def _cells(answer: Prediction) -> Iterable[tuple[list[str], str]]:
    """The added cells of each row as text, and its status."""
    for loss, low, high, inside, distance, status in zip(
        answer.loss,
        answer.loss_low,
        answer.loss_high,
        answer.inside,
        answer.distance,
        answer.status,
        strict=True,
    ):
        numbers = [_number(value) for value in (loss, low, high)]
        where = ["true" if inside else "false", _number(distance)]
        yield [*numbers, *where], str(status)


def _number(value: float) -> str:
    """A float that reads back exactly, an empty cell where there is none."""
    return repr(float(value)) if np.isfinite(value) else ""


def _write(out: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write the file whole or not at all."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(guarded_row(header))
    writer.writerows(guarded_row(row) for row in rows)
    write_whole(out, stream.getvalue().encode())
