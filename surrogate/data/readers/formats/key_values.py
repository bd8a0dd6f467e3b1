"""Lines of key=value: logs and grep's output, one run a line."""

from __future__ import annotations

import re

from surrogate.data import Dropped
from surrogate.data.readers.formats.content import Content
from surrogate.data.readers.formats.csv import Table, decode
from surrogate.data.readers.formats.records import from_records

_PAIR = re.compile(r"([A-Za-z][\w./-]*)\s*[=:]\s*(\"[^\"]*\"|[^\s,;=\"]+)(?=[\s,;]|$)")
# What nanoGPT prints.
_STEP = re.compile(
    r"(?:(?P<name>\S+?):)?\s*(?:[0-9]+:)?step (?P<step>[0-9]+): "
    r"train loss (?P<train_loss>[0-9.naif]+), val loss (?P<val_loss>[0-9.naif]+)\s*"
)
_LEAST, _MOST_SKIPPED = 3, 0.5


def parse_pairs(content: Content) -> Table | None:
    """The table in such lines; None where most lines are none."""
    text = decode(content)
    if len(text) > 50_000_000:
        return None
    lines = [(k, line) for k, line in enumerate(text.splitlines(), 1) if line.strip()]
    records, dropped = [], []
    for k, line in lines:
        record = _record(line)
        if record is None:
            reason = "no line of key=value: it is no run"
            dropped.append(Dropped(content.file, k, "", "", reason))
        else:
            records.append((k, record))
        if k > 50 and len(dropped) > _MOST_SKIPPED * k:
            return None
    if not records or len(dropped) > _MOST_SKIPPED * len(lines):
        return None
    note = f"{content.file}: lines of key=value, each read as one run"
    return from_records(
        content.file, content.sha256, records, dropped=dropped, notes=[note]
    )


def _record(line: str) -> dict[str, str] | None:
    step = _STEP.fullmatch(line)
    if step:
        return {key: value for key, value in step.groupdict().items() if value}
    found = _PAIR.findall(line)
    names = [name for name, _ in found]
    if len(found) < _LEAST or len(set(names)) < len(names):
        return None
    return {name: value.strip('"') for name, value in found}
