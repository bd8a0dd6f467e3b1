"""Tables in JSON lines: one object a line; lines that are none are dropped."""

from __future__ import annotations

from collections.abc import Mapping

from surrogate.base.errors import DataError
from surrogate.data import Dropped
from surrogate.data.readers.formats.content import Content
from surrogate.data.readers.formats.csv import Table, decode
from surrogate.data.readers.formats.json import loads
from surrogate.data.readers.formats.records import Record, from_records


def parse_json_lines(content: Content) -> Table:
    """The table in a file of JSON lines.

    Raises:
        DataError: no line of it is a record.
    """
    file = content.file
    records: list[tuple[int, Record]] = []
    dropped: list[Dropped] = []
    # Not splitlines: JSON may hold other line ends inside its strings.
    for k, line in enumerate(decode(content).split("\n")):
        if not line.strip():
            continue
        try:
            value = loads(file, line)
        except DataError as error:
            reason = "this line is no JSON"
            if "JSON" not in str(error):
                reason = str(error).removeprefix(f"{file}: ").rstrip(".")
            dropped.append(Dropped(file, k + 1, "", "", reason))
            continue
        if isinstance(value, Mapping):
            records.append((k + 1, value))
        else:
            reason = "this line is no record of a run"
            dropped.append(Dropped(file, k + 1, "", "", reason))
    return from_records(file, content.sha256, records, dropped)
