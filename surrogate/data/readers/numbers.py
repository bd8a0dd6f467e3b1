"""Numbers as people write them in a table: 124M, 1x, **3.8**, 1_000, 2^19, 2.9 ± 0.1.

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
from surrogate.data.readers.columns.roles import COUNTS, role_of
from surrogate.data.readers.columns.terms import Term
from surrogate.data.readers.formats.csv import Row, Table, parse_cell
from surrogate.data.readers.powers import plain_fraction, plain_power

_NOTES = (
    r"\*{1,2}|†|‡|\((?:best|peak|max)\)|←|\[\^?[0-9a-z]{1,3}\]|\^\{?[*†‡a-z]\}?|[✓★]"
)
_MARKS = re.compile(rf"(\*{{1,3}}|_{{1,3}}|`|~~)?(.*?)(?:\1)?\s*(?:(?:{_NOTES})\s*)*")
_LATEX = re.compile(r"\\(?:textbf|textit|underline|mathbf|emph|bf)\s*\{(.*)\}")
_ABOUT = re.compile(r"[~≈]\s*")
# What follows a mean: its spread.
_SPREAD = re.compile(r"(.+?)\s*(?:(?:±|\+/-|\\pm|\+-)\s*[0-9.eE-]+|\([0-9.]+\))")
_COUNTED = re.compile(r"(.+?)\s*(?:tokens?|toks?|params|parameters|nats)")
_GROUPS = re.compile(r"[+]?[1-9][0-9]{0,2}(?:[,_' \u00a0\u202f][0-9]{3})+")
_DOTTED = re.compile(r"[1-9][0-9]{0,2}(?:\.[0-9]{3})*")
_UNDERSCORES = re.compile(r"[+-]?[0-9]+(?:_[0-9]+)+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
_COMMA = re.compile(r"[+-]?[0-9]+(?:,[0-9]+)?(?:[eE][+-]?[0-9]+)?|nan|inf|diverged")
_SUFFIXED = re.compile(r"([0-9.]+)\s?(Ki|Mi|Gi|[KMBTkmbt])")
_SHARE = re.compile(r"[+-]?[0-9.]+\s?%")
_SEQUENCES = re.compile(r"([1-9][0-9]*)\s?[x×*]\s?([1-9][0-9]*)")  # noqa: RUF001
_TIMES = re.compile(r"([0-9.]+(?:[eE][+-]?[0-9]+)?)\s?[x×]")  # noqa: RUF001


def read_number(text: str, *, is_count: bool, is_factor: bool) -> str | None:
    """What a cell that is no plain number plainly means, written plainly, or None.

    Args:
        text: of the cell.
        is_count: it counts something, such as tokens.
        is_factor: something is multiplied by it.
    """
    bare = _unmarked(text)
    if isinstance(parse_cell(bare), float):
        return bare
    if _UNDERSCORES.fullmatch(bare):
        return bare.replace("_", "")
    if is_count and _GROUPS.fullmatch(bare):
        return re.sub(r"[^0-9]", "", bare)
    suffixed = _SUFFIXED.fullmatch(bare)
    if (is_count or is_factor) and suffixed:
        unit = suffixed[2] if len(suffixed[2]) > 1 else suffixed[2].upper()
        return _plainly(f"{suffixed[1]}{unit}")
    times = _TIMES.fullmatch(bare)
    if is_factor and times and isinstance(parse_cell(times[1]), float):
        return times[1]
    if is_factor and _SHARE.fullmatch(bare):
        return _plainly(bare.replace(" ", ""))
    if is_count and (product := _SEQUENCES.fullmatch(bare)):
        return str(int(product[1]) * int(product[2]))
    return plain_power(bare) or (None if is_count else plain_fraction(bare))


def _unmarked(text: str) -> str:
    """A number without bold type, footnotes, a spread, and the word of its unit."""
    bare = text.strip().strip("$").strip()
    for _ in range(3):
        before = bare
        for pattern, group in ((_LATEX, 1), (_MARKS, 2), (_SPREAD, 1), (_COUNTED, 1)):
            found = pattern.fullmatch(bare)
            bare = found[group].strip().strip("$") if found else bare
        bare = _ABOUT.sub("", bare, count=1) if _ABOUT.match(bare) else bare
        bare = bare.replace("{,}", ",").strip()
        if bare == before:
            break
    return bare


def _plainly(text: str) -> str | None:
    """A number with a suffix or a percent sign, written plainly."""
    try:
        value = parse_number(text)
    except DataError:
        return None
    return str(int(value)) if value.is_integer() else repr(value)


def tidy(table: Table, terms: Mapping[str, Term]) -> tuple[Table, list[str]]:
    """The table with plain numbers in the columns of these terms, and what was done.

    Args:
        table: the file.
        terms: what is read as numbers, by role.
    """
    notes = []
    changed: dict[int, dict[str, str]] = {}
    for column, is_count, is_factor in _columns(table, terms):
        found = _plain(table, column, is_count=is_count, is_factor=is_factor)
        if found is not None:
            changed[column], note = found
            name = quote(table.header[column])
            notes.append(f"{table.file}: in {name} {note}")
    if not changed:
        return table, []
    rows = tuple(Row(row.line, _replaced(row.fields, changed)) for row in table.rows)
    return replace(table, rows=rows), notes


def _plain(
    table: Table, column: int, *, is_count: bool, is_factor: bool
) -> tuple[dict[str, str], str] | None:
    """Cells of a column and what they mean, with a note; None where all are plain."""
    cells = {row.fields[column] for row in table.rows}
    odd = [cell for cell in cells if cell and isinstance(parse_cell(cell), str)]
    if table.has_commas and is_count and _are_dotted(cells):
        first = next(cell for cell in sorted(cells) if "." in cell)
        shown = f"such as {quote(first)} as {first.replace('.', '')}"
        whole = {cell: cell.replace(".", "") for cell in cells}
        return whole, f"dots are read as thousands, {shown}"
    is_plain = table.has_commas or _cannot_group(cells)
    if odd and is_plain and not is_count and _are_decimal(cells):
        shown = f"such as {quote(odd[0])} as {odd[0].replace(',', '.')}"
        decimal = {cell: cell.replace(",", ".") for cell in odd}
        return decimal, f"commas are read as decimal ones, {shown}"
    odd = [cell for cell in odd if not _is_of_another(table.header[column], cell)]
    if any("," in cell for cell in odd) and _has_decimal_comma(cells):
        return None
    read = {
        cell: plain
        for cell in odd
        if (plain := read_number(cell, is_count=is_count, is_factor=is_factor))
    }
    marked = [row.fields[column] for row in table.rows if row.fields[column] in read]
    if not marked:
        return None
    shown = f"such as {quote(marked[0])} as {read[marked[0]]}"
    if any(re.fullmatch(r"(?:[248]|16|32|64|128|256|512)\s?[Kk]", x) for x in marked):
        shown += "; K is 1,000, Ki 1,024"
    if len(marked) > 1:
        return read, f"{len(marked)} cells are read without their marks, {shown}"
    return read, f"1 cell is read without its marks, {shown}"


def _is_of_another(name: str, cell: str) -> bool:
    """Whether a cell counts something else than its column: tokens, or a product."""
    role = role_of(name)
    if _SEQUENCES.fullmatch(cell):
        return role != "batch"
    is_plain = role in (None, "batch", "tokens", "params")
    return not is_plain and "tok" in cell.lower()


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


def _are_dotted(cells: Iterable[str]) -> bool:
    """Whether dots part the thousands of all of a column's numbers."""
    filled = [cell for cell in cells if cell]
    return any("." in cell for cell in filled) and all(
        _DOTTED.fullmatch(cell) for cell in filled
    )


def _are_decimal(cells: Iterable[str]) -> bool:
    """Whether every number of a column is one of whole digits or a decimal comma."""
    return all(not cell or _COMMA.fullmatch(cell) for cell in cells)


def _cannot_group(cells: Iterable[str]) -> bool:
    """Whether some comma of a column parts no thousands: 0,001 or 2,3456."""
    return any(
        _COMMA.fullmatch(x) and "," in x and not _GROUPS.fullmatch(x) for x in cells
    )


def _has_decimal_comma(cells: Iterable[str]) -> bool:
    """Whether some number of a column has a comma that parts no thousands."""
    return any("," in cell and not _GROUPS.fullmatch(_unmarked(cell)) for cell in cells)


def _replaced(
    fields: tuple[str, ...], changed: dict[int, dict[str, str]]
) -> tuple[str, ...]:
    return tuple(
        changed[k].get(field, field) if k in changed else field
        for k, field in enumerate(fields)
    )
