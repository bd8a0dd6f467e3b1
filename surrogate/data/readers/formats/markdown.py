"""Tables in markdown: the one table of a page, its marks kept for `numbers`."""

from __future__ import annotations

import re

from surrogate.base.errors import DataError
from surrogate.data.readers.formats.content import Content
from surrogate.data.readers.formats.csv import Table, build, decode

_BAR = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r":?-+:?")


def is_markdown(text: str) -> bool:
    """Whether a text has a table with a rule below its header."""
    return any(_is_rule(line) for line in text.splitlines()[:200])


def parse_markdown(content: Content) -> Table:
    """The table in a markdown file.

    Raises:
        DataError: it has none, or several.
    """
    file = content.file
    lines = decode(content).splitlines()
    rules = [k for k, line in enumerate(lines) if k and _is_rule(line)]
    if not rules:
        raise DataError(
            f"{file}: expected a markdown table, which has a line of |---|---| below "
            "its header, got none. Add it, or save the table as CSV."
        )
    if len(rules) > 1:
        places = " and ".join(str(k) for k in rules[:3])
        raise DataError(
            f"{file}: expected one table, got {len(rules)}, whose headers are lines "
            f"{places}. Put each into a file of its own."
        )
    first = rules[0]
    rows = [(first, _cells(lines[first - 1]))]
    for k in range(first + 1, len(lines)):
        if "|" not in lines[k]:
            break
        rows.append((k + 1, _cells(lines[k])))
    return build(file, content.sha256, rows)


def _cells(line: str) -> list[str]:
    bare = line.strip()
    parts = _BAR.split(bare)
    if bare.startswith("|"):
        parts = parts[1:]
    if len(parts) > 1 and not parts[-1].strip():
        parts = parts[:-1]
    return [part.strip().replace("\\|", "|") for part in parts]


def _is_rule(line: str) -> bool:
    if "|" not in line and "-" not in line:
        return False
    cells = _cells(line)
    return "|" in line and bool(cells) and all(_RULE.fullmatch(cell) for cell in cells)
