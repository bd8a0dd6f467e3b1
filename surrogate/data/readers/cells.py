"""One row of text as numbers, or the first cell that is none."""

from __future__ import annotations

import math
from dataclasses import dataclass

from surrogate.base.errors import DataError
from surrogate.base.units import quote
from surrogate.data import Dropped
from surrogate.data.readers.columns.mapping import Plan
from surrogate.data.readers.columns.terms import Term
from surrogate.data.readers.drops import clean, drop
from surrogate.data.readers.formats.csv import Row, Table, parse_cell
from surrogate.data.readers.statuses import says_diverged, status_of
from surrogate.data.readers.words import Words
from surrogate.data.third_setting import label, level_of


@dataclass(frozen=True)
class Parsed:
    """One row as numbers, before it is checked as a run."""

    row: Row
    values: dict[str, float]
    diverged: bool
    recipe: str
    name: str
    cluster: str = ""


def read_row(table: Table, plan: Plan, row: Row, words: Words) -> Parsed | Dropped:
    """The numbers of a row, or the first field that is none."""
    marked = status_of(table, plan, row, words)
    if isinstance(marked, Dropped):
        return marked
    values: dict[str, float] = {}
    known = {"steps": plan.steps, "accumulation": plan.accumulation}
    further = {key: term for key, term in known.items() if term is not None}
    settings = {key: term for key, term in plan.terms.items() if key != "loss"}
    if not plan.is_sequences:
        settings.pop("seq_len", None)
    for key, term in {**settings, **plan.scales, **further}.items():
        value = _product(table, term, row)
        if isinstance(value, Dropped):
            return value
        values[key] = value
    for column in plan.recipe:
        if not row.fields[column]:
            return drop(table, row, column, "empty cell: the recipe is missing")
    if plan.also is not None and not row.fields[plan.also]:
        return drop(table, row, plan.also, "empty cell: the further setting is missing")
    if plan.cluster is not None and not row.fields[plan.cluster]:
        return drop(table, row, plan.cluster, "empty cell: the cluster is missing")
    loss = _loss(table, plan, row, marked)
    if isinstance(loss, Dropped):
        return loss
    values["loss_se"] = _loss_se(table, plan, row)
    name = plan.texts.get("name")
    return Parsed(
        row=row,
        values={**values, "loss": loss},
        diverged=marked or not math.isfinite(loss),
        recipe=_recipe(table, plan, row),
        name="" if name is None else row.fields[name],
        cluster="" if plan.cluster is None else row.fields[plan.cluster],
    )


def _recipe(table: Table, plan: Plan, row: Row) -> str:
    """What else differs, with the level of a further setting behind it."""
    rest = "/".join(row.fields[column] for column in plan.recipe)
    if plan.also is None:
        return rest
    return label(rest, table.header[plan.also], level_of(row.fields[plan.also]))


def _loss_se(table: Table, plan: Plan, row: Row) -> float:
    """The standard error of a row's loss, nan where it is not given."""
    column = plan.loss_se
    if column is None or not row.fields[column]:
        return math.nan
    value = parse_cell(row.fields[column])
    if isinstance(value, str) or not (math.isfinite(value) and value > 0):
        raise DataError(
            f"{table.file} line {row.line}, column {quote(table.header[column])}, "
            f"value {quote(row.fields[column])}: expected a standard error of the "
            "loss above 0. Leave the cell empty where it is not known."
        )
    return value


def _product(table: Table, term: Term, row: Row) -> float | Dropped:
    """The value of a term, or the first of its cells that is no number."""
    values: dict[int, float] = {}
    for column in term.columns:
        value = parse_cell(row.fields[column])
        if isinstance(value, str):
            return drop(table, row, column, value)
        values[column] = value
    try:
        return term.expression.of(values.__getitem__)
    except ZeroDivisionError:
        texts = ", ".join(row.fields[column] for column in term.columns)
        reason = "division by zero"
        return Dropped(table.file, row.line, clean(term.label), clean(texts), reason)


def _loss(table: Table, plan: Plan, row: Row, marked: bool) -> float | Dropped:
    """The loss, nan where it diverged without a finite one."""
    if says_diverged(plan, row):
        return math.nan
    term = plan.terms["loss"]
    # A run known to have diverged tells so without a loss; others do not.
    if marked and not all(row.fields[column] for column in term.columns):
        return math.nan
    return _product(table, term, row)
