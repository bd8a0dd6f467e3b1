"""Tables whose columns are parted by blanks, as terminals and notebooks print them."""

from __future__ import annotations

import re

from surrogate.readers.content import Content
from surrogate.readers.csv import Table, build, decode

_WIDE, _ANY = re.compile(r"\s{2,}"), re.compile(r"\s+")
_OTHERS = re.compile(r"[,;|\t]")
_LEAST = 3


def parse_blanks(content: Content) -> Table | None:
    """The table in a text, or None where its lines do not agree on their columns.

    A column of row numbers without a name, as pandas prints it, is left unnamed.
    """
    text = decode(content)
    lines = [(k + 1, line) for k, line in enumerate(text.splitlines()) if line.strip()]
    if len(lines) < 2 or _OTHERS.search(lines[0][1]):
        return None
    for blank in (_WIDE, _ANY):
        rows = [(k, blank.split(line.strip())) for k, line in lines]
        widths = {len(fields) for _, fields in rows[1:]}
        head = len(rows[0][1])
        if len(widths) != 1 or head < _LEAST:
            continue
        if widths == {head + 1}:
            rows[0] = (rows[0][0], ["", *rows[0][1]])
        elif widths != {head}:
            continue
        return build(content.file, content.sha256, rows)
    return None
