"""Where a table begins below titles and comments, and rows of it that are no runs."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice

from surrogate.base.units import quote
from surrogate.data.readers.columns.roles import role_of
from surrogate.data.readers.formats.csv import Row, Table, parse_cell

Line = tuple[int, Sequence[str]]

# Lines that may stand above a table, and names that tell its header.
_MOST_LINES, _LEAST_ROLES = 30, 3
# Of a line, the cells that are looked at.
_MOST_CELLS = 500
_TOTALS = re.compile(
    r"(grand )?totals?|sum|mean|avg\.?|average|median|min(imum)?|max(imum)?|best|worst"
    r"|std\.?|stdev|count|overall|summary",
    re.IGNORECASE,
)
_SHOWN = 3
# What a row of such a name holds in each column, as rounded, in so many columns.
_AGGREGATES: dict[str, Callable[[list[float]], float]] = {
    **dict.fromkeys(("total", "totals", "sum"), math.fsum),
    **dict.fromkeys(("mean", "avg", "avg.", "average"), statistics.fmean),
    "median": statistics.median,
    **dict.fromkeys(("min", "minimum"), min),
    **dict.fromkeys(("max", "maximum"), max),
}
_ROUNDED, _LEAST_MATCHES = 0.01, 2


def skip_titles(file: str, lines: Iterable[Line]) -> tuple[Iterator[Line], list[str]]:
    """The lines from the header on, and what was left out above it.

    Only where the first line names nothing that is known and one below it names three:
    else the first line is the header, whatever it holds.
    """
    rest = iter(lines)
    head = list(islice(rest, _MOST_LINES))
    full = [(k, line) for k, line in enumerate(head) if any(map(str.strip, line[1]))]
    if not full or roles_in(full[0][1][1]) > 0:
        return chain(head, rest), []
    for k, (_, fields) in full[1:]:
        if roles_in(fields) < _LEAST_ROLES:
            continue
        first = next(cell.strip() for cell in full[0][1][1] if cell.strip())
        note = (
            f"{file}: the header is line {head[k][0]}; what stands above it is no "
            f"part of the table ({quote(first)})"
        )
        return chain(head[k:], rest), [note]
    return chain(head, rest), []


def roles_in(fields: Sequence[str]) -> int:
    """How many different settings, or a loss, the cells of a line name."""
    fields = fields[:_MOST_CELLS]
    if any(isinstance(parse_cell(cell.strip()), float) for cell in fields):
        return 0
    found = {role_of(cell.strip()) for cell in fields if cell.strip()}
    return len(found - {None, "name", "status", "recipe"})


def without_totals(table: Table) -> Table:
    """`table` without blank lines, repeated headers and rows of totals, told so."""
    kept: list[Row] = []
    left: list[tuple[int, str]] = []
    for row in table.rows:
        what = _no_run(table.header, row.fields) or _aggregate(table.rows, row)
        if what is None:
            kept.append(row)
        else:
            left.append((row.line, what))
    if not left or not kept:
        return table
    named = ", ".join(f"{line} ({what})" for line, what in left[:_SHOWN])
    more = f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
    note = f"{table.file}: lines that are no runs are left out: {named}{more}"
    return replace(table, rows=tuple(kept), notes=(*table.notes, note))


def _no_run(header: Sequence[str], fields: Sequence[str]) -> str | None:
    """Why a row is no run by its looks alone, or None."""
    first = next((field for field in fields if field), None)
    if first is None:
        return "blank"
    if tuple(fields) == tuple(header):
        return "the header again"
    if set(first) <= set("-=_") and all(set(f) <= set("-=_") for f in fields):
        return "a rule"
    # A run may be called best: it has all of its cells.
    return quote(first) if _is_total(first) and "" in fields else None


def _is_total(word: str) -> bool:
    return _TOTALS.fullmatch(word.strip("*_: ")) is not None


def _aggregate(rows: Sequence[Row], row: Row) -> str | None:
    """The name of a row that a spreadsheet computed of all others, or None."""
    first = next((field for field in row.fields if field), "")
    of = _AGGREGATES.get(first.strip("*_: ").lower().removeprefix("grand "))
    if of is None:
        return None
    matches = 0
    for k, text in enumerate(row.fields):
        value = parse_cell(text)
        cells = (parse_cell(x.fields[k]) for x in rows if x is not row)
        column = [x for x in cells if isinstance(x, float)]
        if not isinstance(value, float) or len(set(column)) < 2:
            continue
        if not math.isclose(value, of(column), rel_tol=_ROUNDED):
            return None
        matches += 1
    return quote(first) if matches >= _LEAST_MATCHES else None
