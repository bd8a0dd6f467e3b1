"""From a header and the user's `--map` to a plan: which column is what.

Everything is decided from names alone; two candidates for a role are an error, never a
choice.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from surrogate.errors import DataError
from surrogate.readers.columns import (
    ACCUMULATIONS,
    ALIASES,
    LAYOUTS,
    LOSS_KINDS,
    LOSS_UNITS_BY_NAME,
    MAPPABLE,
    REQUIRED,
    STEPS,
    TEXTS,
    Layout,
    fold,
)
from surrogate.readers.csv import Table, parse_cell
from surrogate.runs import LossKind, ParamsKind, check_scale_names
from surrogate.units import parse_positive, quote


@dataclass(frozen=True)
class Term:
    """One column as it stands, or a product of columns (their places) and a number."""

    label: str
    columns: tuple[int, ...]
    factor: float = 1.0
    is_column: bool = True


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
    is_sequences: bool
    steps: Term | None
    accumulation: Term | None
    title: str
    loss_kind: LossKind
    params_kind: ParamsKind
    loss_unit: str

    def used(self) -> set[int]:
        """The columns that play a role."""
        terms = [*self.terms.values(), *self.scales.values()]
        columns = {column for term in terms for column in term.columns}
        texts = {*self.texts.values(), *self.recipe}
        for term in (self.steps, self.accumulation):
            columns |= set(term.columns if term else ())
        places = (self.cluster, self.loss_se, self.marked and self.marked[0])
        columns |= {column for column in places if column is not None}
        return columns | texts


def make_plan(
    table: Table,
    *,
    mapping: Mapping[str, str],
    recipe: Sequence[str],
    scales: Mapping[str, str],
    cluster: str | None = None,
    loss_se: str | None = None,
    marked: str | None = None,
) -> Plan:
    """Finds every role's column.

    Args:
        table: the file.
        mapping: what the user says, by role: a column, or for a number a product of
            columns and numbers.
        recipe: the columns that together name the recipe.
        scales: further scale variables by name, written as in `mapping`. They take the
            place of the recipe of a published file: the structures of an MoE differ in
            active parameters.
        cluster: the column of runs that share a trunk.
        loss_se: the column of the loss's standard error.
        marked: COLUMN=VALUE of runs that diverged.

    Raises:
        DataError: if a role is missing, has two candidates, or is mapped to something
            that is not there.
    """
    _check_roles(mapping, recipe)
    check_scale_names(scales)
    layout = next((item for item in LAYOUTS if item.needs <= set(table.header)), None)
    named = dict(mapping)
    if layout:
        known = {_spoken(role): column for role, column in layout.roles.items()}
        if scales:
            # What the file would call recipes is told apart by the scale, else twice.
            known.pop("recipe", None)
        named = {**known, **named}
    terms, texts = _by_name(table, named)
    found = _by_alias(table, [role for role in MAPPABLE if role not in named])
    terms |= {
        role: Term(quote(table.header[column]), (column,))
        for role, column in found.items()
        if role not in TEXTS
    }
    texts |= {role: column for role, column in found.items() if role in TEXTS}
    own = texts.pop("recipe", None)
    columns = [_column(table, name, "--recipe") for name in recipe]
    return Plan(
        terms=terms,
        texts=texts,
        recipe=tuple(columns or ([] if own is None else [own])),
        scales={
            name: _term(table, text, f"--scale {name}") for name, text in scales.items()
        },
        cluster=None if cluster is None else _column(table, cluster, "--cluster"),
        loss_se=None if loss_se is None else _column(table, loss_se, "--loss-se"),
        marked=None if marked is None else _marked(table, marked),
        ids=_ids(table, named),
        is_sequences=_name(table, terms["batch"]) in ALIASES["sequences"],
        steps=_steps(table, layout),
        accumulation=None if layout else _numbers(table, ACCUMULATIONS),
        title=layout.title if layout else "",
        loss_kind=_loss_kind(table, terms["loss"], layout),
        params_kind=_params_kind(table, terms["params"], layout),
        loss_unit=LOSS_UNITS_BY_NAME.get(_name(table, terms["loss"]), "nats"),
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
        return _term(table, layout.steps, "steps") if layout.steps else None
    return _numbers(table, STEPS)


def _numbers(table: Table, names: Sequence[str]) -> Term | None:
    """The one column of such a name, where all of its cells are positive numbers."""
    places = [k for k, name in enumerate(table.header) if fold(name) in names]
    if len(places) != 1 or not table.rows:
        return None
    cells = [parse_cell(row.fields[places[0]]) for row in table.rows]
    if not all(isinstance(cell, float) and cell > 0 for cell in cells):
        return None
    return Term(quote(table.header[places[0]]), (places[0],))


def _check_roles(mapping: Mapping[str, str], recipe: Sequence[str]) -> None:
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


def _spoken(role: str) -> str:
    """The word for a role on the command line."""
    return "batch" if role == "sequences" else role


def _by_name(
    table: Table, named: Mapping[str, str]
) -> tuple[dict[str, Term], dict[str, int]]:
    terms, texts = {}, {}
    for role, text in named.items():
        if role in TEXTS:
            texts[role] = _column(table, text, f"--map {role}")
        else:
            terms[role] = _term(table, text, f"--map {role}")
    if "loss" in terms and not terms["loss"].columns:
        raise DataError(
            f"--map loss: expected a column of {table.file}, got the number "
            f"{quote(named['loss'])}. The columns are {table.columns()}."
        )
    return terms, texts


def _by_alias(table: Table, roles: Sequence[str]) -> dict[str, int]:
    """The column of each role by its usual names, all faults in one message."""
    found, faults = {}, []
    for role in roles:
        names = ALIASES[role] + (ALIASES["sequences"] if role == "batch" else ())
        places = [k for k, name in enumerate(table.header) if fold(name) in names]
        if role == "name" and places:
            # A label only: the first of its usual names does.
            places = [min(places, key=lambda k: names.index(fold(table.header[k])))]
        if len(places) == 1:
            found[role] = places[0]
        elif places:
            faults.append(_two_candidates(table, role, places))
        elif role in REQUIRED:
            faults.append(
                f"no column for {role} (looked for {', '.join(names)}): say "
                f"--map {role}=COLUMN" + _EXAMPLES.get(role, "")
            )
    if faults:
        numbers = all(isinstance(parse_cell(name), float) for name in table.header)
        hint = " The first line must name the columns." if numbers else ""
        raise DataError(
            f"{table.file} line 1: {'; '.join(faults)}. The columns are "
            f"{table.columns()}.{hint}"
        )
    return found


_EXAMPLES = {
    "params": ", or a number, such as --map params=124M",
    "tokens": ", or a product, such as --map tokens=steps*batch_tokens",
}


def _two_candidates(table: Table, role: str, places: Sequence[int]) -> str:
    names = [f"{quote(table.header[k])} (column {k + 1})" for k in places]
    tokens = [k for k in places if fold(table.header[k]) in ALIASES["batch"]]
    best = (tokens or places)[0]
    return (
        f"{len(places)} columns could be {role}: {' and '.join(names)}: say which, "
        f'such as --map {role}="{table.header[best]}"'
    )


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


def _term(table: Table, text: str, what: str) -> Term:
    """A column by its exact name, else a product of columns and numbers."""
    if text in table.header:
        return Term(quote(text), (table.header.index(text),))
    columns, factor = [], 1.0
    for part in (part.strip() for part in text.split("*")):
        if part in table.header:
            columns.append(table.header.index(part))
            continue
        try:
            factor *= parse_positive(part, what=what)
        except DataError as error:
            raise DataError(
                f"{what}: expected a column of {table.file}, a number, or a product of "
                f"them such as batch_size*2048, got {quote(part)}. The columns are "
                f"{table.columns()}."
            ) from error
    return Term(text, tuple(columns), factor, is_column=False)


def _name(table: Table, term: Term) -> str:
    """The folded name of the one column that a term is, or ""."""
    return fold(table.header[term.columns[0]]) if term.is_column else ""


def _loss_kind(table: Table, term: Term, layout: Layout | None) -> LossKind:
    kinds: dict[str, LossKind] = dict(LOSS_KINDS)
    if layout:
        kinds |= {fold(name): kind for name, kind in layout.loss_kinds.items()}
    return kinds.get(_name(table, term), "unknown")


def _params_kind(table: Table, term: Term, layout: Layout | None) -> ParamsKind:
    name = _name(table, term)
    if layout and name == fold(layout.roles["params"]):
        return layout.params_kind
    return "non_embedding" if name == "non_embedding_params" else "unknown"
