"""From rows of text and a plan to checked numbers; every other row with its reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from surrogate.base.defaults import SMALL
from surrogate.base.errors import DataError
from surrogate.base.units import quote
from surrogate.data import (
    SETTINGS,
    Dropped,
    row_fault,
)
from surrogate.data.readers.arithmetic import Read, check_peak
from surrogate.data.readers.batch import tokens_per_step
from surrogate.data.readers.cells import Parsed, read_row
from surrogate.data.readers.checkpoints import (
    Point,
    check_ids,
    last_of_each,
)
from surrogate.data.readers.columns.mapping import Plan
from surrogate.data.readers.drops import clean
from surrogate.data.readers.endings import check_endings
from surrogate.data.readers.formats.csv import Table
from surrogate.data.readers.merged import check_merged
from surrogate.data.readers.schedule import Log, Schedule, peak_of
from surrogate.data.readers.statuses import check_statuses
from surrogate.data.readers.units import check_shares, check_units, convert_loss
from surrogate.data.readers.words import Words


@dataclass(frozen=True)
class Converted:
    """A file's usable runs, batch in tokens, and the rows that are not.

    Attributes:
        runs: the usable rows.
        dropped: the others, in the order of their lines.
        note: what was recognised and converted.
        warnings: what of it may be wrong.
    """

    runs: tuple[Parsed, ...]
    dropped: tuple[Dropped, ...]
    note: str
    warnings: tuple[str, ...] = ()


def convert(table: Table, plan: Plan, words: Words) -> Converted:
    """Read every row of `table` as `plan` says.

    Args:
        table: the file.
        plan: where each role is found.
        words: what the user says of words and sizes.

    Raises:
        DataError: if the file as a whole is in other units, or no row can be used.
    """
    check_statuses(table, plan, words)
    if "status" not in plan.texts:
        check_endings(table, plan.used())
    settings = {k for key, t in plan.terms.items() if key != "loss" for k in t.columns}
    check_merged(table, settings | set(plan.recipe), plan.terms["loss"].columns)
    check_shares(table, plan)
    if words.schedule is None:
        check_peak(table, plan)
    read = [read_row(table, plan, row, words) for row in table.rows]
    parsed = [item for item in read if isinstance(item, Parsed)]
    dropped = [*table.dropped, *(item for item in read if isinstance(item, Dropped))]
    said, warnings = "", []
    if parsed:
        parsed, said, warnings = _ends(table, plan, parsed, words)
    runs: list[Parsed] = []
    for item in parsed:
        fault = _fault(table, plan, item)
        if fault is None:
            runs.append(item)
        else:
            dropped.append(fault)
    dropped.sort(key=lambda item: item.line)
    if not runs:
        raise DataError(_nothing_left(table, dropped))
    note = _note(table, plan) + said
    return Converted(tuple(runs), tuple(dropped), note, tuple(warnings))


def _ends(
    table: Table, plan: Plan, parsed: list[Parsed], words: Words
) -> tuple[list[Parsed], str, list[str]]:
    """The last row of each run in the reader's units, what was done, and warnings."""
    columns = {
        key: np.array([item.values[key] for item in parsed]) for key in parsed[0].values
    }
    if SMALL not in words.allow:
        check_units(table, plan, parsed, columns)
    points = _points(plan, parsed)
    if words.checkpoints != "runs" and len(plan.ids) > 1:
        names = {
            table.header[k]: [item.row.fields[k] for item in parsed] for k in plan.ids
        }
        check_ids(table, points, names)
    groups, note, warnings = last_of_each(
        *(table, plan, points, words.checkpoints),
        is_schedule=words.schedule is not None,
    )
    kept = [group[-1] for group in groups]
    parsed = [parsed[k] for k in kept]
    columns = {key: values[kept] for key, values in columns.items()}
    note += convert_loss(table, plan, parsed, words)
    read = Read(table, plan, columns, [item.row.line for item in parsed])
    batch, how, more = tokens_per_step(
        read, words.seq_len, is_small=SMALL in words.allow
    )
    note += how
    if words.schedule is not None:
        logs = [[points[row] for row in group] for group in groups]
        peaks = _peaks(read, logs, batch, words.schedule)
        for item, peak in zip(parsed, peaks, strict=True):
            item.values["lr"] = peak
        note += "; lr is the schedule's: the peak of each run was computed"
    for item, tokens in zip(parsed, batch.tolist(), strict=True):
        item.values["batch"] = tokens
    return parsed, note, [*warnings, *more]


def _peaks(
    read: Read, logs: list[list[Point]], batch: np.ndarray, schedule: Schedule
) -> list[float]:
    """The peak lr of each run by its rows."""
    steps = read.columns.get("steps", np.full(len(logs), np.nan))
    return [
        peak_of(
            read.table,
            read.plan,
            Log(
                lines=[point.line for point in log],
                lr=np.array([point.lr for point in log]),
                tokens=np.array([point.tokens for point in log]),
                batch=float(batch[k]),
                steps=float(steps[k]),
            ),
            schedule,
        )
        for k, log in enumerate(logs)
    ]


def _points(plan: Plan, parsed: list[Parsed]) -> list[Point]:
    """Rows as checkpoints may be; derived numbers are no settings."""
    moving = {"lr", "tokens", "loss", "steps", "loss_se"}
    return [
        Point(
            line=item.row.line,
            name=item.name,
            settings=(
                item.recipe,
                *(v for key, v in item.values.items() if key not in moving),
            ),
            lr=item.values["lr"],
            tokens=item.values["tokens"],
            loss=item.values["loss"],
        )
        for item in parsed
    ]


def _fault(table: Table, plan: Plan, item: Parsed) -> Dropped | None:
    """Why a row of numbers is no usable run, or None."""
    fields = (*SETTINGS, *plan.scales, "loss")
    values = {key: item.values[key] for key in fields}
    fault = row_fault(values, diverged=item.diverged)
    if fault is None:
        return None
    field, reason = fault
    term = {**plan.terms, **plan.scales}[field]
    texts = [item.row.fields[column] for column in term.columns]
    column = ", ".join(table.header[column] for column in term.columns)
    return Dropped(
        file=table.file,
        line=item.row.line,
        column=clean(column or term.label),
        value=clean(" * ".join(texts) or term.label),
        reason=reason,
    )


def _note(table: Table, plan: Plan) -> str:
    """Which column is what, for people."""
    title = f"{plan.title} recognised; " if plan.title else ""
    terms = [f"{role} = {term.label}" for role, term in plan.terms.items()]
    if plan.recipe:
        names = " and ".join(quote(table.header[column]) for column in plan.recipe)
        terms.append(f"recipe = {names}")
    terms += [f"{name} = {term.label}" for name, term in plan.scales.items()]
    further = (("cluster", plan.cluster), ("loss_se", plan.loss_se))
    for what, column in (*further, ("also", plan.also)):
        if column is not None:
            terms.append(f"{what} = {quote(table.header[column])}")
    return f"{table.file}: {title}{', '.join(terms)}"


def _nothing_left(table: Table, dropped: list[Dropped]) -> str:
    counts = Counter(item.reason for item in dropped).most_common(4)
    reasons = "; ".join(f"{count} x {reason}" for reason, count in counts)
    return (
        f"{table.file}: expected finished runs, but none of its {len(dropped)} rows "
        f"can be used ({reasons}). The first: {dropped[0]}. Correct the file, or map "
        f"other columns with --map."
    )
