"""Tables whose columns are parted by blanks, as terminals and notebooks print them.

Where a print is padded, its cells must stand under their names: a name of two words
would else move all others by one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from surrogate.data.readers.formats.content import Content
from surrogate.data.readers.formats.csv import Table, build, decode

# Words, and words that single blanks join.
_FORMS = (re.compile(r"\S+"), re.compile(r"\S+(?: \S+)*"))
_PADDED = re.compile(r"^\s|\s{2}")
_OTHERS = re.compile(r"[,;|\t]")
_LEAST = 3

Fields = Sequence[re.Match[str]]


def parse_blanks(content: Content) -> Table | None:
    """The table in a text, or None where its lines do not agree on their columns.

    A column of row numbers without a name, as pandas prints it, is left unnamed.
    """
    text = decode(content)
    lines = [(k + 1, line) for k, line in enumerate(text.splitlines()) if line.strip()]
    if len(lines) < 2 or _OTHERS.search(lines[0][1]):
        return None
    is_padded = any(_PADDED.search(line) for _, line in lines)
    for form in _FORMS:
        head, *rows = [list(form.finditer(line)) for _, line in lines]
        widths = {len(fields) for fields in rows}
        if len(head) < _LEAST or widths not in ({len(head)}, {len(head) + 1}):
            continue
        unnamed = len(rows[0]) - len(head)
        if (unnamed or is_padded) and not _are_aligned(head, rows, unnamed):
            continue
        names = ["", *(field[0] for field in head)] if unnamed else None
        found = [[field[0] for field in fields] for fields in (head, *rows)]
        found[0] = names or found[0]
        numbered = zip((line for line, _ in lines), found, strict=True)
        return build(content.file, content.sha256, numbered)
    return None


def _are_aligned(head: Fields, rows: Sequence[Fields], unnamed: int) -> bool:
    """Whether each column's cells begin, or all end, where its name does."""
    columns = zip(head, *(fields[unnamed:] for fields in rows), strict=True)
    return all(
        len({field.start() for field in column}) == 1
        or len({field.end() for field in column}) == 1
        for column in columns
    )
