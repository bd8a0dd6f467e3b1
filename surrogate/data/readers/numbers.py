"""Numbers as people write them in a table: 124M, 1x, **3.8**, 1e-3*, 1_000, 524,288.

Only what can mean one thing is read, and what was done is noted. Suffixes and groups of
three belong to counts: a comma in 524,288 tokens cannot be a decimal one, in a loss of
2,345 it can, and the row is dropped, unless semicolons part the columns. `x` is read
where the column is multiplied by something, since an lr of 1x is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from surrogate.base.errors import DataError
from surrogate.base.units import parse_number, quote
from surrogate.data.readers.columns import COUNTS, role_of
from surrogate.data.readers.csv import Row, Table, parse_cell
from surrogate.data.readers.terms import Term

_MARKS = re.compile(r"(\*{1,3}|_{1,3}|`|~~)?(.*?)(?:\1)?\s*(?:\*{1,2}|†|‡|\(best\)|←)?")
_GROUPS = re.compile(r"[+]?[1-9][0-9]{0,2}(?:[,_' \u00a0\u202f][0-9]{3})+")
_UNDERSCORES = re.compile(r"[+-]?[0-9]+(?:_[0-9]+)+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
_COMMA = re.compile(r"[+-]?[0-9]+(?:,[0-9]+)?(?:[eE][+-]?[0-9]+)?|nan|inf|diverged")
_SUFFIXED = re.compile(r"[0-9.]+(?:Ki|Mi|Gi|[KMBT])")
_TIMES = re.compile(r"([0-9.]+(?:[eE][+-]?[0-9]+)?)\s?[x×]")  # noqa: RUF001


def read_number(text: str, *, is_count: bool, is_factor: bool) -> str | None:
    """What a cell that is no plain number plainly means, written plainly, or None.

    Args:
        text: of the cell.
        is_count: it counts something, such as tokens.
        is_factor: something is multiplied by it.
    """
    found = _MARKS.fullmatch(text)
    bare = (found[2] if found else text).strip()
    if isinstance(parse_cell(bare), float):
        return bare
    if _UNDERSCORES.fullmatch(bare):
        return bare.replace("_", "")
    if is_count and _GROUPS.fullmatch(bare):
        return re.sub(r"[^0-9]", "", bare)
    if (is_count or is_factor) and _SUFFIXED.fullmatch(bare):
        try:
            value = parse_number(bare)
        except DataError:
            return None
        return str(int(value)) if value.is_integer() else repr(value)
    times = _TIMES.fullmatch(bare)
    if is_factor and times and isinstance(parse_cell(times[1]), float):
        return times[1]
    return None


def tidy(table: Table, terms: Mapping[str, Term]) -> tuple[Table, list[str]]:
    """The table with plain numbers in the columns of these terms, and what was done.

    Args:
        table: the file.
        terms: what is read as numbers, by role.
    """
    notes = []
    changed: dict[int, dict[str, str]] = {}
    for column, is_count, is_factor in _columns(table, terms):
        cells = {row.fields[column] for row in table.rows}
        odd = [cell for cell in cells if cell and isinstance(parse_cell(cell), str)]
        if odd and table.has_commas and not is_count and _are_decimal(cells):
            changed[column] = {cell: cell.replace(",", ".") for cell in odd}
            notes.append(
                f"{table.file}: in {quote(table.header[column])} commas are read as "
                f"decimal ones, such as {quote(odd[0])} as {odd[0].replace(',', '.')}"
            )
            continue
        if not odd or (any("," in cell for cell in odd) and _has_decimal_comma(cells)):
            continue
        read = {
            cell: plain
            for cell in odd
            if (plain := read_number(cell, is_count=is_count, is_factor=is_factor))
        }
        if not read:
            continue
        changed[column] = read
        count = sum(row.fields[column] in read for row in table.rows)
        first = next(r.fields[column] for r in table.rows if r.fields[column] in read)
        notes.append(
            f"{table.file}: in {quote(table.header[column])} {count} "
            f"{'cells are' if count > 1 else 'cell is'} read without "
            f"{'their' if count > 1 else 'its'} marks, such as {quote(first)} as "
            f"{read[first]}"
        )
    if not changed:
        return table, []
    rows = tuple(Row(row.line, _replaced(row.fields, changed)) for row in table.rows)
    return replace(table, rows=rows), notes


def _columns(table: Table, terms: Mapping[str, Term]) -> list[tuple[int, bool, bool]]:
    """Each column's place, whether it counts, and whether it is only a factor."""
    found: dict[int, tuple[bool, bool]] = {}
    for role, term in terms.items():
        for column in term.columns:
            is_count = role_of(table.header[column]) in COUNTS
            is_count = is_count or (term.is_column and role in COUNTS)
            before = found.get(column, (False, True))
            is_factor = before[1] and not term.is_column
            found[column] = (is_count or before[0], is_factor)
    return [(column, *kinds) for column, kinds in found.items()]


def _are_decimal(cells: Iterable[str]) -> bool:
    """Whether every number of a column is one of whole digits or a decimal comma."""
    return all(not cell or _COMMA.fullmatch(cell) for cell in cells)


def _has_decimal_comma(cells: Iterable[str]) -> bool:
    """Whether some number of a column has a comma that parts no thousands."""
    return any(
        "," in cell and not _GROUPS.fullmatch(cell.strip("*_` ")) for cell in cells
    )


def _replaced(
    fields: tuple[str, ...], changed: dict[int, dict[str, str]]
) -> tuple[str, ...]:
    return tuple(
        changed[k].get(field, field) if k in changed else field
        for k, field in enumerate(fields)
    )
