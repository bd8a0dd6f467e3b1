"""How runs ended, by the words of a column and by their losses."""

from __future__ import annotations

import math
from collections import Counter

from surrogate.base.defaults import SAID_FAILED
from surrogate.base.errors import DataError, FlagsError
from surrogate.base.units import quote
from surrogate.data import Dropped
from surrogate.data.advice import count
from surrogate.data.readers.columns.mapping import Plan, is_same
from surrogate.data.readers.drops import clean, drop
from surrogate.data.readers.endings import FAILED
from surrogate.data.readers.formats.csv import Row, Table, parse_cell
from surrogate.data.readers.words import Words

_LOSS_DIVERGED = ("nan", "inf", "infinity", "diverged")
_DIVERGED = ("diverged", "nan", "inf")
_FINISHED = (
    *("", "finished", "ok", "complete", "completed", "done", "success", "succeeded"),
)
_UNFINISHED = (
    "failed",
    "crashed",
    "killed",
    "running",
    "preempted",
    "cancelled",
    "canceled",
    "aborted",
    "timeout",
    "scheduled",
    "pruned",
    "fail",
    "waiting",
    "pending",
    "crash",
    "error",
    "oom",
    "out of memory",
    "out_of_memory",
    "interrupted",
    "stopped",
)
_MARKED = {
    **dict.fromkeys(("true", "yes", "1", "1.0", "diverged"), True),
    **dict.fromkeys(("false", "no", "0", "0.0", ""), False),
}


def check_statuses(table: Table, plan: Plan, words: Words) -> None:
    """Refuse words of a status column of which nobody said what they mean."""
    both = sorted(set(words.finished) & set(words.failed))
    if both:
        raise DataError(
            f"--finished and --failed both name {quote(both[0])}. Name it once."
        )
    column = plan.texts.get("status")
    if column is None:
        return
    known = {*_DIVERGED, *_FINISHED, *_UNFINISHED, *words.finished, *words.failed}
    found = [(row.line, row.fields[column].lower()) for row in table.rows]
    unknown = [(line, word) for line, word in found if word not in known]
    if not unknown:
        return
    counts = Counter(word for _, word in unknown).most_common(6)
    named = ", ".join(f"{quote(word)} ({count(n, 'row')})" for word, n in counts)
    ended = [word for word, _ in counts if not FAILED.search(word)]
    failed = [word for word, _ in counts if FAILED.search(word)]
    pairs = (("--finished", ended), ("--failed", failed))
    raise FlagsError(
        f"{table.file} line {unknown[0][0]}, column {clean(table.header[column])}: "
        f"expected a status that is known, such as finished, diverged or crashed, got "
        f"{named}. Say what they mean: --finished WORD,WORD for runs that ended, "
        f"--failed WORD,WORD for those that did not.",
        table.file,
        [text for name, words in pairs if words for text in (name, ",".join(words))],
    )


def status_of(table: Table, plan: Plan, row: Row, words: Words) -> bool | Dropped:
    """Whether the status columns say that the run diverged, or why it is no run."""
    marked = False
    column = plan.texts.get("diverged")
    if column is not None:
        word = row.fields[column].lower()
        if word not in _MARKED:
            return drop(table, row, column, "expected true or false")
        marked = _MARKED[word]
    if plan.marked is not None:
        marked = marked or is_same(plan.marked[1], row.fields[plan.marked[0]])
    column = plan.texts.get("status")
    if column is None:
        return marked
    word = row.fields[column].lower()
    if word in words.failed:
        return drop(table, row, column, SAID_FAILED)
    if word in words.finished:
        return marked
    if word in _UNFINISHED and not (marked or says_diverged(plan, row)):
        reason = "unfinished run; if it diverged, write diverged"
        return drop(table, row, column, reason)
    return marked or word in _DIVERGED


def says_diverged(plan: Plan, row: Row) -> bool:
    """Whether the loss is a word for divergence, or overflows a float64."""
    for column in plan.terms["loss"].columns:
        text = row.fields[column].lower()
        # Minus infinity is no loss that a run can end with.
        is_below = text.startswith("-") and text.lstrip("+-") != "nan"
        if text.lstrip("+-") in _LOSS_DIVERGED and not is_below:
            return True
        if parse_cell(text) == math.inf:
            return True
    return False
