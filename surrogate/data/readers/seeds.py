"""Replicates: runs that are equal in everything but their seed, and their noise.

Runs that share lr, batch and sizes but differ in the seed *and* in another column (the
weight decay, say) are different recipes: what they differ by is no noise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from surrogate.base.units import format_percent, quote
from surrogate.data import Runs
from surrogate.data.advice import count, is_repeat_warning
from surrogate.data.cells import Rows
from surrogate.data.readers.columns.roles import ALIASES, fold

SEEDS = ("seed", "random_seed", "data_seed")
# What a run yields, or what it is called: differs between any two runs. Whole words of
# a column's name.
_OUTCOMES = re.compile(
    r"(^|[_/. ])(loss|losses|ppl|perplexity|bpb|acc|accuracy|score|std|stderr|se|sem"
    r"|time|runtime|duration|created|updated|date|timestamp|seconds|hours|host|hostname"
    r"|node|gpu_hours|throughput|mfu|id|uuid|url|path|notes|tags|description)($|[_/. ])"
)


def with_replicates(
    runs: Runs,
    header: Sequence[str],
    fields: Sequence[Sequence[str]],
    used: Collection[int],
) -> Runs:
    """`runs` with the noise that runs of one setting and several seeds show.

    Args:
        runs: of one file.
        header: the columns' names.
        fields: the text of each run's row.
        used: columns that play a role: they are equal within a setting, or an outcome.
    """
    found = seed_column(header)
    if found is None:
        return runs
    column = quote(header[found])
    if len(runs) > 1 and len({row[found] for row in fields}) == 1:
        note = (
            f"{column} is {quote(fields[0][found])} in all runs: it tells no noise "
            "between seeds"
        )
        return replace(runs, notes=(*runs.notes, note))
    settings = [found, *_settings(header, fields, {found, *used})]
    groups = [
        part
        for rows in runs.repeats(any_loss=True)
        for part in _replicates(rows, fields, settings)
    ]
    logs = [np.log(runs.loss[rows]) for rows in groups]
    if not any(np.ptp(x) > 0 for x in logs):
        return runs
    freedom = sum(len(x) - 1 for x in logs)
    noise = math.sqrt(sum(float(((x - x.mean()) ** 2).sum()) for x in logs) / freedom)
    note = (
        f"{count(len(groups), 'setting')} repeated under other values of {column}: "
        f"seed noise {format_percent(noise)} of the loss"
    )
    grouped = {frozenset(rows.tolist()) for rows in groups}
    explained = all(frozenset(rows.tolist()) in grouped for rows in runs.repeats())
    warnings = [w for w in runs.warnings if not (explained and is_repeat_warning(w))]
    return replace(
        runs,
        warnings=tuple(warnings),
        notes=(*runs.notes, note),
        seed_noise=noise,
    )


def seed_column(header: Sequence[str]) -> int | None:
    """The place of the column of seeds, if there is one."""
    return next((k for k, name in enumerate(header) if fold(name) in SEEDS), None)


def is_outcome(name: str) -> bool:
    """Whether a column of this name tells what came of a run, or what it is called."""
    word = fold(name)
    return word in (*ALIASES["loss"], *ALIASES["name"]) or bool(_OUTCOMES.search(word))


def _settings(
    header: Sequence[str], fields: Sequence[Sequence[str]], skipped: Collection[int]
) -> list[int]:
    """Columns that say how a run was made, beside those skipped."""
    found = []
    for column, name in enumerate(header):
        values = {row[column] for row in fields}
        # A column with a value of its own in every run is an outcome or a label.
        is_label = len(values) == len(fields)
        if column not in skipped and name and not is_label and not is_outcome(name):
            found.append(column)
    return found


def _replicates(
    rows: Rows, fields: Sequence[Sequence[str]], settings: Sequence[int]
) -> list[Rows]:
    """Of runs of one setting, those equal in all settings but the seed, the first.

    One seed twice is no replicate: such runs differ in what no column tells.
    """
    seed, *others = settings
    groups: dict[tuple[object, ...], list[int]] = {}
    for row in rows.tolist():
        key = tuple(fields[row][column] for column in others)
        groups.setdefault(key, []).append(row)
    return [
        np.array(group, dtype=np.int64)
        for group in groups.values()
        if len(group) > 1 and len({fields[row][seed] for row in group}) == len(group)
    ]
