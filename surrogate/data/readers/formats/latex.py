"""Tables in LaTeX: the one tabular of a file, its marks kept for `numbers`."""

from __future__ import annotations

import re

from surrogate.base.errors import DataError
from surrogate.data.readers.formats.content import Content
from surrogate.data.readers.formats.csv import Table, build, decode
from surrogate.data.readers.formats.preamble import skip_titles

_BEGIN = re.compile(r"\\begin\{(tabular[x*]?|longtable|array)\}")
_RULES = re.compile(
    r"\\(?:top|mid|bottom|h)(?:rule|line)|\\c(?:mid)?(?:rule|line)"
    r"(?:\([lr]+\))?\{[^}]*\}|\\addlinespace(?:\[[^\]]*\])?|\\hline"
)
_COMMENT = re.compile(r"(?<!\\)%.*")
_PLAIN = (("\\%", "%"), ("\\_", "_"), ("\\#", "#"), ("~", " "), ("\\,", ""))


def is_latex(text: str) -> bool:
    """Whether a text has a tabular in it."""
    return _BEGIN.search(text) is not None


def parse_latex(content: Content) -> Table:
    """The table in a LaTeX file.

    Raises:
        DataError: it has none, or several.
    """
    text = decode(content)
    found = list(_BEGIN.finditer(text))
    if len(found) != 1:
        raise DataError(
            f"{content.file}: expected one tabular, got {len(found)}. Put each into a "
            "file of its own, or save the table as CSV."
        )
    end = text.find(f"\\end{{{found[0][1]}}}", found[0].end())
    body = text[found[0].end() : end if end >= 0 else len(text)]
    # What follows \begin{tabular} says how columns stand.
    body = re.sub(r"^(?:\s*\[[^\]]*\])?(?:\{(?:[^{}]|\{[^{}]*\})*\}){1,2}", "", body)
    line = text.count("\n", 0, end if end >= 0 else len(text)) - body.count("\n") + 1
    rows = []
    for row in re.split(r"\\\\(?:\[[^\]]*\])?", body):
        bare = _RULES.sub(" ", "\n".join(_COMMENT.sub("", x) for x in row.split("\n")))
        start = line + row[: len(row) - len(row.lstrip())].count("\n")
        line += row.count("\n")
        cells = [_plain(cell) for cell in re.split(r"(?<!\\)&", bare)]
        if any(cells):
            rows.append((start, cells))
    kept, notes = skip_titles(content.file, rows)
    table = build(content.file, content.sha256, kept)
    return Table(**{**vars(table), "notes": tuple(notes)})


def _plain(cell: str) -> str:
    text = " ".join(cell.split())
    for written, meant in _PLAIN:
        text = text.replace(written, meant)
    found = re.fullmatch(r"\\multicolumn\{[^}]*\}\{[^}]*\}\{(.*)\}", text)
    return (found[1] if found else text).strip()
