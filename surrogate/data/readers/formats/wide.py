"""Tables with a column a value of a setting: params, tokens, lr=1e-3, lr=2e-3, ...

The cells below such heads are losses; each becomes a row of its own.
"""

from __future__ import annotations

import re
from dataclasses import replace

from surrogate.base.units import quote
from surrogate.data.readers.columns.roles import role_of
from surrogate.data.readers.formats.csv import Row, Table, parse_cell
from surrogate.data.readers.numbers import read_number

_NAMED = re.compile(r"\s*(?:loss\s*(?:@|at|,|\|)?\s*)?(.+?)\s*[=:@ _]\s*([0-9.].*?)\s*")
_BEHIND = re.compile(r"\s*([0-9.].*?)\s*[(\[]\s*(.+?)\s*[)\]]\s*")
_SWEPT = ("lr", "batch", "sequences")
_LEAST_TOKENS = 8192
_LEAST = 2


def lengthened(table: Table) -> Table:
    """`table` as one row a loss, where its heads are values of a setting."""
    heads = {k: found for k, n in enumerate(table.header) if (found := _head(n))}
    names = {name for name, _ in heads.values()}
    rest = [k for k in range(len(table.header)) if k not in heads]
    roles = {role_of(table.header[k]) for k in rest} - {None, "name"}
    if len(heads) < _LEAST or len(names) != 1 or not roles or "loss" in roles:
        return table
    name = names.pop() or _unnamed([value for _, value in heads.values()], roles)
    if name is None or role_of(name) in roles:
        return table
    if not all(_is_loss(row.fields[k]) for row in table.rows for k in heads):
        return table
    rows = tuple(
        Row(row.line, (*(row.fields[j] for j in rest), value, row.fields[k]))
        for row in table.rows
        for k, (_, value) in heads.items()
        if row.fields[k]
    )
    if not rows:
        return table
    note = (
        f"{table.file}: {len(heads)} columns, {quote(table.header[min(heads)])} to "
        f"{quote(table.header[max(heads)])}, are values of {name}; their cells are "
        "read as losses"
    )
    header = (*(table.header[k] for k in rest), name, "loss")
    return replace(table, header=header, rows=rows, notes=(*table.notes, note))


def _head(name: str) -> tuple[str, str] | None:
    """The setting and the value that a head names; "" for a number alone."""
    if _value(name):
        return "", _value(name)
    for pattern, key, value in ((_NAMED, 1, 2), (_BEHIND, 2, 1)):
        found = pattern.fullmatch(name)
        if found and role_of(found[key]) in _SWEPT and _value(found[value]):
            return found[key], _value(found[value])
    return None


def _value(text: str) -> str:
    """A number, written plainly; "" where it is none."""
    if isinstance(parse_cell(text), float):
        return text
    return read_number(text, is_count=True, is_factor=False) or ""


def _unnamed(values: list[str], roles: set[str | None]) -> str | None:
    """What numbers without a name are: learning rates below 1, else batches."""
    numbers = [float(value) for value in values]
    if sorted(set(numbers)) not in (numbers, numbers[::-1]) or min(numbers) <= 0:
        return None
    if "lr" not in roles and max(numbers) < 1:
        return "lr"
    is_batch = "lr" in roles and all(x >= 1 and x.is_integer() for x in numbers)
    if is_batch and not roles & {"batch", "sequences"}:
        return "batch" if min(numbers) >= _LEAST_TOKENS else "batch_size"
    return None


def _is_loss(cell: str) -> bool:
    """Whether a cell is a loss, a word for divergence, or empty."""
    if not cell or cell.lower() in ("nan", "inf", "diverged", "-"):
        return True
    value = parse_cell(cell.strip("*_ "))
    return isinstance(value, float) and 0 < value < 1e5
