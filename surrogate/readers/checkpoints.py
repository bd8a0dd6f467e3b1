"""Rows that are checkpoints of one run and not runs: the last of each is its end.

One id at several token counts tells them; without an id, rows of equal settings whose
tokens go in constant steps while the loss falls. Files whose layout is known hold final
runs, and a grid of sizes is none of this: its tokens go in factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from surrogate.errors import DataError
from surrogate.readers.columns import ALIASES, fold
from surrogate.readers.csv import Table
from surrogate.readers.plan import Plan
from surrogate.units import quote

# Rows of a run without an id, and by how much their steps of tokens may differ.
_LEAST_ROWS, _EVEN = 4, 0.02
# Of neighbouring losses, a share that may rise: noise of a flat end.
_RISES = 0.25
# Of runs, those that must look like checkpoints without an id.
_MOST = 0.5


@dataclass(frozen=True)
class Point:
    """A row as a checkpoint may be: where it stands, its id, settings and loss.

    `settings` are all but lr, tokens and loss.
    """

    line: int
    name: str
    settings: tuple[float | str, ...]
    lr: float
    tokens: float
    loss: float


def last_of_each(
    table: Table, plan: Plan, points: Sequence[Point], how: str
) -> tuple[list[int], str]:
    """The rows to use, and what was done, for the note.

    Args:
        table: the file, for messages.
        plan: what its columns are.
        points: its rows.
        how: `last` of each run, `refuse`, or `runs`: every row is one.

    Raises:
        DataError: the file holds checkpoints and `how` is `refuse`, or their lr is the
            schedule's value at that moment.
    """
    every = list(range(len(points)))
    if how == "runs" or plan.title:
        return every, ""
    groups = _by_name(points) if "name" in plan.texts else _by_settings(points)
    if groups is None:
        return every, ""
    many = [group for group in groups if len(group) > 1]
    _check_lr(table, plan, points, many)
    first = f"{table.file} line {points[many[0][0]].line}"
    what = f"{len(points)} rows look like checkpoints of {len(groups)} runs"
    if how == "refuse":
        raise DataError(
            f"{first}: {what} (one run at several tokens), and --checkpoints refuse "
            "refuses them. Keep the last row of each, or say --checkpoints last, or "
            "runs if every row is a run of its own."
        )
    kept = sorted(max(g, key=lambda k: points[k].tokens) for g in groups)
    return kept, f"; {what}: the last of each is used (--checkpoints runs for all)"


def _by_name(points: Sequence[Point]) -> list[list[int]] | None:
    """Rows of each id, where some id has several token counts; None where none has."""
    groups: dict[tuple[str, tuple[float | str, ...]], list[int]] = {}
    for k, point in enumerate(points):
        groups.setdefault((point.name, point.settings), []).append(k)
    named = [g for (name, _), g in groups.items() if name]
    several = [g for g in named if len({points[k].tokens for k in g}) > 1]
    if not several or len(named) < len(groups):
        return None
    falling = [g for g in several if _falls(points, g)]
    return list(groups.values()) if len(falling) >= _MOST * len(several) else None


def _by_settings(points: Sequence[Point]) -> list[list[int]] | None:
    """The same without ids: runs follow one another in the file's order."""
    groups: list[list[int]] = []
    for k, point in enumerate(points):
        last = points[groups[-1][-1]] if groups else None
        goes_on = (
            last is not None
            and point.settings == last.settings
            and point.tokens > last.tokens
            and point.lr <= last.lr
        )
        if goes_on:
            groups[-1].append(k)
        else:
            groups.append([k])
    alike = [g for g in groups if _is_log(points, g)]
    return groups if alike and len(alike) > _MOST * len(groups) else None


def _falls(points: Sequence[Point], group: Sequence[int]) -> bool:
    """Whether the loss falls with tokens, but for noise."""
    rows = sorted(group, key=lambda k: points[k].tokens)
    loss = np.array([points[k].loss for k in rows])
    rises = np.diff(loss) > 0
    return bool(rises.mean() <= _RISES) if rises.size else False


def _is_log(points: Sequence[Point], group: Sequence[int]) -> bool:
    """Whether rows are evenly spaced in tokens and their loss falls."""
    if len(group) < _LEAST_ROWS:
        return False
    steps = np.diff([points[k].tokens for k in group])
    is_even = bool(np.ptp(steps) <= _EVEN * steps.mean())
    return is_even and _falls(points, group)


def _check_lr(
    table: Table, plan: Plan, points: Sequence[Point], groups: Sequence[list[int]]
) -> None:
    """Refuse the schedule's lr where the peak is wanted."""
    for group in groups:
        rows = sorted(group, key=lambda k: points[k].tokens)
        lr = [points[k].lr for k in rows]
        if len(set(lr)) == 1:
            continue
        used = plan.terms["lr"].columns
        better = [
            name
            for k, name in enumerate(table.header)
            if k not in used and fold(name) in (*ALIASES["lr"], "lr_peak", "lr_max")
        ]
        remedy = (
            f"Say --map lr={quote(better[0])}."
            if better
            else "Add a column of the peak lr of each run, or keep one row a run with "
            "its peak lr."
        )
        raise DataError(
            f"{table.file} line {points[rows[-1]].line}, column "
            f"{plan.terms['lr'].label}: expected the peak lr of each run, but within "
            f"one run it goes from {lr[0]:g} to {lr[-1]:g}: it is the schedule's value "
            f"at each of {len(points)} checkpoints of {len(groups)} runs. {remedy}"
        )
