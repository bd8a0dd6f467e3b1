"""Rows that are in the files twice, in every column: a file appended to itself.

Such a row tells nothing that its first did not, and counted again it would narrow every
interval. Equal losses alone are no sign: rounded, two seeds may well agree. So rows
count as copies only where the loss has digits enough and copies are a habit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from surrogate.base.defaults import A_COPY
from surrogate.data import Dropped, oddities
from surrogate.data.advice import count
from surrogate.data.readers.formats.csv import Table
from surrogate.data.readers.rows import Converted


def once(
    tables: Sequence[Table], parts: Sequence[Converted]
) -> tuple[list[Converted], list[str]]:
    """The files without rows that repeat an earlier one, and what to say of that.

    Args:
        tables: the files.
        parts: what each was converted to.
    """
    seen: dict[tuple[tuple[str, ...], tuple[str, ...]], str] = {}
    first, again = "", []
    for table, part in zip(tables, parts, strict=True):
        header = tuple(table.header)
        for run in part.runs:
            place = f"{table.file} line {run.row.line}"
            known = seen.setdefault((header, run.row.fields), place)
            again.append(known != place)
            if known != place and not first:
                first = f"{place} is {known}"
    losses = [run.values["loss"] for part in parts for run in part.runs]
    copies = np.array(again, dtype=bool)
    if not oddities.is_habit(copies, np.array(losses, dtype=np.float64)):
        return list(parts), []
    ends = np.cumsum([0, *(len(part.runs) for part in parts)])
    kept = [
        _without(table.file, part, again[low : low + len(part.runs)])
        for table, part, low in zip(tables, parts, ends.tolist(), strict=False)
    ]
    number = int(copies.sum())
    return kept, [
        f"{count(number, 'row')} in the table twice, in every column (first: {first}): "
        "each counts once."
    ]


def _without(file: str, part: Converted, again: Sequence[bool]) -> Converted:
    """The copies among a file's runs moved to its dropped rows."""
    pairs = list(zip(part.runs, again, strict=True))
    copies = [Dropped(file, run.row.line, "", "", A_COPY) for run, no in pairs if no]
    return replace(
        part,
        runs=tuple(run for run, no in pairs if not no),
        dropped=tuple(sorted((*part.dropped, *copies), key=lambda row: row.line)),
    )
