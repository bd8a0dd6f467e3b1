"""The settings in a YAML file of a run: names and values, nested by indentation.

Configs of runs use little of YAML; what is read here is that part, values as they are
written. Lists are left out, and so is whatever else is no `name: value`.
"""

from __future__ import annotations

import re
from typing import Any

from surrogate.data.readers.formats.values import Number

_LINE = re.compile(r"( *)([\w./-]+|\"[^\"]*\"|'[^']*')\s*:(?:\s+(.*?))?\s*")
_COMMENT = re.compile(r"(^|\s)#.*$")
_QUOTED = re.compile(r"([\"'])(.*)\1")
_NUMBER = re.compile(r"[+-]?(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_BLOCKS = ("|", ">", "|-", ">-", "|+", ">+")


def parse_yaml(text: str) -> dict[str, Any]:
    """Names and values, those below a name as a mapping of their own."""
    found: dict[str, Any] = {}
    # Mappings that are open, with the indentation of their names.
    path: list[tuple[int, dict[str, Any]]] = [(-1, found)]
    block: int | None = None
    for raw in text.splitlines():
        line = raw.expandtabs(2)
        indent = len(line) - len(line.lstrip())
        if block is not None and (not line.strip() or indent > block):
            continue
        block = None
        match = _LINE.fullmatch(_without_comment(line))
        if match is None:
            continue
        while path[-1][0] >= indent:
            path.pop()
        name, value = _plain(match[2]), match[3] or ""
        inner = path[-1][1]
        if value in _BLOCKS:
            block = indent
        elif value:
            inner[name] = _value(value)
        else:
            inner[name] = {}
            path.append((indent, inner[name]))
    return found


def _without_comment(line: str) -> str:
    return line if '"' in line or "'" in line else _COMMENT.sub("", line)


def _plain(text: str) -> str:
    quoted = _QUOTED.fullmatch(text)
    return quoted[2] if quoted else text


def _value(text: str) -> Any:
    if text in ("null", "~", "None"):
        return None
    return Number(text) if _NUMBER.fullmatch(text) else _plain(text)
