"""Exports of trackers: configs that are written into one cell become columns.

W&B's API gives config and summary as a mapping a run, which pandas writes as JSON or as
Python has it; both are parsed, never run. Optuna's `value` is the loss where its trials
have no other.
"""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from surrogate.base.errors import DataError
from surrogate.base.units import quote
from surrogate.data.readers.columns.roles import role_of
from surrogate.data.readers.formats.content import check_size
from surrogate.data.readers.formats.csv import Row, Table
from surrogate.data.readers.formats.records import flatten
from surrogate.data.readers.formats.values import Number

_MOST_CHARACTERS = 100_000
_NAMED = {"nan": "nan", "inf": "inf", "NaN": "nan", "Infinity": "inf"}
_TRIALS = {"number", "value"}


def spread(table: Table) -> Table:
    """`table` with the columns of mappings spread out, and Optuna's value a loss.

    Raises:
        DataError: a name would stand twice.
    """
    places = [k for k in range(len(table.header)) if _holds_mappings(table, k)]
    if places:
        table = _spread(table, places)
    return _with_value(table)


def _holds_mappings(table: Table, place: int) -> bool:
    cells = [row.fields[place] for row in table.rows if row.fields[place]]
    return bool(cells) and all(c.startswith("{") and c.endswith("}") for c in cells)


def _spread(table: Table, places: list[int]) -> Table:
    found: list[dict[str, str]] = []
    for row in table.rows:
        cells: dict[str, str] = {}
        for k, field in enumerate(row.fields):
            if k not in places:
                cells[table.header[k]] = field
                continue
            value = _mapping(field)
            if value is None:
                cells[table.header[k]] = field
                continue
            nested = {table.header[k]: value}
            for name, text in flatten(table.file, nested, row.line).items():
                if name in cells:
                    raise DataError(
                        f"{table.file} line {row.line}: expected every name once, got "
                        f"{quote(name)} as a column and in {table.header[k]}. Remove "
                        "one."
                    )
                cells[name] = text
        found.append(cells)
    names: dict[str, None] = {}
    for cells in found:
        names.update(dict.fromkeys(cells))
    check_size(table.file, len(found), len(names))
    rows = tuple(
        Row(row.line, tuple(cells.get(name, "") for name in names))
        for row, cells in zip(table.rows, found, strict=True)
    )
    spread_out = " and ".join(quote(table.header[k]) for k in places[:3])
    note = f"{table.file}: the mappings in {spread_out} are read as columns"
    return replace(table, header=tuple(names), rows=rows, notes=(*table.notes, note))


def _mapping(text: str) -> Mapping[str, Any] | None:
    """A mapping written as JSON or as Python has it; None where it is neither."""
    if not text or len(text) > _MOST_CHARACTERS:
        return None
    try:
        value = json.loads(
            text, parse_float=Number, parse_int=Number, parse_constant=Number
        )
    except (ValueError, RecursionError):
        value = None
        try:
            with warnings.catch_warnings():
                # Of strings with odd escapes: they are read as Python reads them.
                warnings.simplefilter("ignore")
                value = _literal(ast.parse(text, mode="eval").body, 0)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
    return value if isinstance(value, Mapping) else None


def _literal(node: ast.AST, depth: int) -> Any:
    """What a literal of Python is; ValueError for all that would have to be run."""
    if depth > 30:
        raise ValueError
    if isinstance(node, ast.Dict):
        return {
            _literal(key, depth + 1): _literal(value, depth + 1)
            for key, value in zip(node.keys, node.values, strict=True)
            if key is not None
        }
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(item, depth + 1) for item in node.elts]
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name) and node.id in _NAMED:
        return float(_NAMED[node.id])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _literal(node.operand, depth + 1)
        if isinstance(value, int | float):
            return -value
    raise ValueError


def _with_value(table: Table) -> Table:
    """Optuna's trials: the value of the objective is the loss, if nothing else is."""
    is_trials = set(table.header) >= _TRIALS and any(
        name.startswith(("params_", "params.")) for name in table.header
    )
    if not is_trials or any(role_of(name) == "loss" for name in table.header):
        return table
    header = tuple("loss" if name == "value" else name for name in table.header)
    note = f"{table.file}: trials of Optuna, whose value is read as the loss"
    return replace(table, header=header, notes=(*table.notes, note))
