"""Columns that say how runs ended and play no role: they are asked about.

A run that was killed has a finite loss and an end of its own; taken for a finished one
it is a bad loss at its setting.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from surrogate.base.errors import FlagsError
from surrogate.base.units import quote
from surrogate.data.advice import count
from surrogate.data.readers.columns.roles import fold
from surrogate.data.readers.formats.csv import Table, parse_cell

# Words that say of themselves that a run did not end.
FAILED = re.compile(
    r"crash|fail|error|oom|kill|abort|bad|broken|stop|interrupt|timeout|timed.?out"
    r"|out.of.memory|preempt|cancel|abgebroch|fehl|gescheitert|abgestürzt|失败|中断|崩溃"
)
_FLAGS = re.compile(
    r"(is_|has_|run_|was_)?(crashed|failed|killed|aborted|oom|failure|interrupted"
    r"|sys_failed)"
)
_TRUE, _FALSE = ("true", "yes", "1", "1.0"), ("false", "no", "0", "0.0", "")
# A status is one of few short words.
_MOST_WORDS, _LONGEST = 8, 24


def check_endings(table: Table, used: Collection[int]) -> None:
    """Refuse a table that says in a column without a role that runs did not end.

    Args:
        table: the file.
        used: columns that play a role.

    Raises:
        FlagsError: with what to add to the command.
    """
    for place, name in enumerate(table.header):
        if place in used or not name:
            continue
        cells = [row.fields[place].lower() for row in table.rows]
        words = set(cells)
        if len(words) < 2 or len(words) > _MOST_WORDS:
            continue
        if _FLAGS.fullmatch(fold(name)) and words <= {*_TRUE, *_FALSE}:
            failed = sorted(words & set(_TRUE))
        elif _are_words(words):
            failed = sorted(word for word in words if FAILED.search(word))
        else:
            continue
        if failed and len(failed) < len(words):
            raise _asked(table, place, cells, failed)


def _are_words(words: Collection[str]) -> bool:
    """Whether cells are short words, one of which says how a run ended."""
    return all(
        len(word) <= _LONGEST and not isinstance(parse_cell(word), float)
        for word in words
    ) and any(re.fullmatch(r"[\w -]+", word) and FAILED.match(word) for word in words)


def _asked(table: Table, place: int, cells: list[str], failed: list[str]) -> FlagsError:
    row = next(k for k, cell in enumerate(cells) if cell in failed)
    name, found = table.header[place], sum(cell in failed for cell in cells)
    others = sorted({cell for cell in cells if cell and cell not in failed})
    flags = ["--map", f"status={name}", "--failed", ",".join(failed)]
    if others:
        flags += ["--finished", ",".join(others)]
    return FlagsError(
        f"{table.file} line {table.rows[row].line}, column {quote(name)}, value "
        f"{quote(table.rows[row].fields[place])}: {count(found, 'row')} may be of runs "
        "that did not end, but the column plays no role. Say what it is as below; or, "
        f"if those runs count, --map status={name} with all words under --finished.",
        table.file,
        flags,
    )
