"""From a header and the user's `--map` to a plan: which column is what.

Everything is decided from names alone; two candidates for a role are an error, never a
choice.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from surrogate.base.errors import DataError
from surrogate.base.units import quote
from surrogate.data import LossKind, ParamsKind, check_scale_names
from surrogate.data.readers.columns.find import find_columns
from surrogate.data.readers.columns.roles import (
    ACCUMULATIONS,
    ALIASES,
    LAST_STEPS,
    LAYOUTS,
    MAPPABLE,
    STEPS,
    TEXTS,
    Layout,
    fold,
    loss_kind_of,
    loss_unit_of,
)
from surrogate.data.readers.columns.terms import Mapped, Term, column_term
from surrogate.data.readers.formats.csv import Table, parse_cell
from surrogate.data.readers.numbers import read_number


@dataclass(frozen=True)
class Said:
    """What the user says of columns.

    Attributes:
        mapping: by role: a column, or for a number a product of columns and numbers.
        recipe: the columns that together name the recipe.
        scales: further scale variables by name, written as in `mapping`. They take the
            place of the recipe of a published file: the structures of an MoE differ in
            active parameters.
        cluster: the column of runs that share a trunk.
        loss_se: the column of the loss's standard error.
        marked: COLUMN=VALUE of runs that diverged.
        also: the column of a further setting.
        has_length: the user says how long a sequence is.
    """

    mapping: Mapping[str, str]
    recipe: Sequence[str]
    scales: Mapping[str, str]
    cluster: str | None
    loss_se: str | None
    marked: str | None
    also: str | None
    has_length: bool


@dataclass(frozen=True)
class Plan:
    """Where each role of a table is found.

    Attributes:
        terms: lr, batch, params, tokens, loss, and seq_len where there is one.
        texts: the column of status, diverged and name, where there is one.
        recipe: the columns that together name the recipe.
        scales: further scale variables.
        cluster: the column of runs that share a trunk, if asked for.
        loss_se: the column of the loss's standard error, likewise.
        also: the column of a further setting, whose levels are compared.
        marked: the column and the value of runs that diverged, likewise.
        ids: all columns that may tell runs apart.
        is_sequences: whether the batch is given in sequences.
        steps: optimiser steps, where the length of a sequence follows from them.
        accumulation: parts of a batch that one step adds up, by its column's name.
        title: of the published file that this is, or "".
        loss_kind: as the loss column tells.
        params_kind: as the params column tells.
        loss_unit: as the loss column tells.
    """

    terms: dict[str, Term]
    texts: dict[str, int]
    recipe: tuple[int, ...]
    scales: dict[str, Term]
    cluster: int | None
    loss_se: int | None
    marked: tuple[int, str] | None
    ids: tuple[int, ...]
    also: int | None
    is_sequences: bool
    steps: Term | None
    accumulation: Term | None
    title: str
    loss_kind: LossKind
    params_kind: ParamsKind
    loss_unit: str

    def numbers(self) -> dict[str, Term]:
        """All that is read as numbers, by role."""
        known = {"steps": self.steps, "accumulation": self.accumulation}
        further = {key: term for key, term in known.items() if term is not None}
        return {**self.terms, **self.scales, **further}

    def used(self) -> set[int]:
        """The columns that play a role."""
        terms = [*self.terms.values(), *self.scales.values()]
        columns = {column for term in terms for column in term.columns}
        texts = {*self.texts.values(), *self.recipe}
        for term in (self.steps, self.accumulation):
            columns |= set(term.columns if term else ())
        places = (self.cluster, self.loss_se, self.marked and self.marked[0], self.also)
        columns |= {column for column in places if column is not None}
        return columns | texts


def make_plan(table: Table, said: Said) -> Plan:
    """Find every role's column.

    Args:
        table: the file.
        said: what the user says of it.

    Raises:
        DataError: if a role is missing, has two candidates, or is mapped to something
            that is not there.
    """
    _check_roles(said)
    layout = next((item for item in LAYOUTS if item.needs <= set(table.header)), None)
    named = dict(said.mapping)
    if layout:
        known = {_spoken(role): column for role, column in layout.roles.items()}
        if said.scales:
            # What the file would call recipes is told apart by the scale, else twice.
            known.pop("recipe", None)
        named = {**known, **named}
    mapped = Mapped(table, named)
    terms, texts = _by_name(table, mapped)
    roles = [role for role in MAPPABLE if role not in named]
    found = find_columns(table, roles, terms, has_length=said.has_length)
    for role, column in found.items():
        if role in TEXTS:
            texts[role] = column
        else:
            terms[role] = column_term(table, column)
    own = [texts.pop("recipe")] if "recipe" in texts else []
    columns = [_column(table, name, "--recipe") for name in said.recipe]
    scales = {n: mapped.of(text, f"--scale {n}") for n, text in said.scales.items()}
    return Plan(
        terms=terms,
        texts=texts,
        recipe=tuple(columns or own),
        scales=scales,
        cluster=_named(table, said.cluster, "--cluster"),
        loss_se=_named(table, said.loss_se, "--loss-se"),
        marked=None if said.marked is None else _marked(table, said.marked),
        ids=_ids(table, named),
        also=_named(table, said.also, "--also"),
        is_sequences=_name(table, terms["batch"]) in ALIASES["sequences"],
        steps=_steps(table, layout),
        accumulation=None if layout else _numbers(table, ACCUMULATIONS),
        title=layout.title if layout else "",
        loss_kind=_loss_kind(table, terms["loss"], layout),
        params_kind=_params_kind(table, terms["params"], layout),
        loss_unit=loss_unit_of(_name(table, terms["loss"])),
    )


def _marked(table: Table, text: str) -> tuple[int, str]:
    """The column and value of COLUMN=VALUE, where some row has it."""
    name, _, value = (part.strip() for part in text.partition("="))
    column = _column(table, name, "--diverged-above")
    values = sorted({row.fields[column] for row in table.rows})
    if not any(is_same(value, found) for found in values):
        some = ", ".join(quote(found) for found in values[:6])
        raise DataError(
            f"--diverged-above {text}: expected a value of column {quote(name)} of "
            f"{table.file}, got {quote(value)}, which no row has. Its values are "
            f"{some}{', ...' if len(values) > 6 else ''}."
        )
    return column, value


def is_same(value: str, field: str) -> bool:
    """Whether a cell holds a value: as a number, else as a word in any case."""
    one, other = parse_cell(value), parse_cell(field)
    if isinstance(one, float) and isinstance(other, float):
        return one == other
    return value.lower() == field.lower()


def _ids(table: Table, named: Mapping[str, str]) -> tuple[int, ...]:
    """Columns that by their names may tell runs apart, unless one is named."""
    if "name" in named:
        return ()
    names = ALIASES["name"]
    return tuple(k for k, name in enumerate(table.header) if fold(name) in names)


def _steps(table: Table, layout: Layout | None) -> Term | None:
    """The column of optimiser steps: the layout's, or one of numbers by its name."""
    if layout is not None:
        return Mapped(table, {}).of(layout.steps, "steps") if layout.steps else None
    return _numbers(table, STEPS) or _numbers(table, LAST_STEPS)


def _numbers(table: Table, names: Sequence[str]) -> Term | None:
    """The one column of such a name, where all of its cells are positive numbers."""
    places = [k for k, name in enumerate(table.header) if fold(name) in names]
    if len(places) != 1 or not table.rows:
        return None
    for row in table.rows:
        text = row.fields[places[0]]
        cell = parse_cell(text)
        if isinstance(cell, str):
            cell = parse_cell(read_number(text, is_count=True, is_factor=False) or "")
        if isinstance(cell, str) or cell <= 0:
            return None
    return column_term(table, places[0])


def _check_roles(said: Said) -> None:
    mapping, recipe = said.mapping, said.recipe
    for role in mapping:
        if role not in MAPPABLE:
            raise DataError(
                f"--map: expected a role out of {', '.join(MAPPABLE)}, got "
                f"{quote(role)}. Further scale variables are given with --scale."
            )
    if recipe and "recipe" in mapping:
        raise DataError(
            f"--recipe {recipe[0]}: expected one name for the recipe, but --map has "
            f"recipe={mapping['recipe']}. Leave one of them out."
        )
    check_scale_names(said.scales)


def _spoken(role: str) -> str:
    """The word for a role on the command line."""
    return "batch" if role == "sequences" else role


def _by_name(table: Table, mapped: Mapped) -> tuple[dict[str, Term], dict[str, int]]:
    terms, texts = {}, {}
    for role, text in mapped.named.items():
        if role in TEXTS:
            texts[role] = _column(table, text, f"--map {role}")
        else:
            terms[role] = mapped.term(role)
    if "loss" in terms and not terms["loss"].columns:
        raise DataError(
            f"--map loss: expected a column of {table.file}, got the number "
            f"{quote(mapped.named['loss'])}. The columns are {table.columns()}."
        )
    return terms, texts


def _column(table: Table, name: str, what: str) -> int:
    """The place of a column by its exact name."""
    if name in table.header:
        return table.header.index(name)
    near = difflib.get_close_matches(name, table.header, n=1)
    hint = f" Did you mean {quote(near[0])}?" if near else ""
    raise DataError(
        f"{what}: expected a column of {table.file}, got {quote(name)}.{hint} The "
        f"columns are {table.columns()}."
    )


def _named(table: Table, name: str | None, what: str) -> int | None:
    """The same where a column is asked for."""
    return None if name is None else _column(table, name, what)


def _name(table: Table, term: Term) -> str:
    """The folded name of the one column that a term is, or ""."""
    return fold(table.header[term.columns[0]]) if term.is_column else ""


def _loss_kind(table: Table, term: Term, layout: Layout | None) -> LossKind:
    name = _name(table, term)
    if layout:
        kinds: dict[str, LossKind] = {
            fold(column): kind for column, kind in layout.loss_kinds.items()
        }
        if name in kinds:
            return kinds[name]
    return loss_kind_of(name)


def _params_kind(table: Table, term: Term, layout: Layout | None) -> ParamsKind:
    name = _name(table, term)
    if layout and name == fold(layout.roles["params"]):
        return layout.params_kind
    return _PARAMS_KINDS.get(name, "unknown")


_PARAMS_KINDS: dict[str, ParamsKind] = {
    "non_embedding_params": "non_embedding",
    "non_embedding_parameters": "non_embedding",
    "total_params": "total",
    "total_parameters": "total",
    "n_params_total": "total",
}
