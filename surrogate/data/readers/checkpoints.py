"""Rows that are checkpoints of one run and not runs: the last of each is its end.

One id at several token counts tells them; without an id, rows of equal settings whose
tokens go in constant steps while the loss falls. Files whose layout is known hold final
runs, and a grid of sizes is none of this: its tokens go in factors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from surrogate.base.errors import DataError, FlagsError
from surrogate.base.units import quote
from surrogate.data.readers.columns.mapping import Plan
from surrogate.data.readers.columns.roles import ALIASES, fold
from surrogate.data.readers.formats.csv import Table

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
    table: Table,
    plan: Plan,
    points: Sequence[Point],
    how: str,
    *,
    is_schedule: bool = False,
) -> tuple[list[list[int]], str, list[str]]:
    """The rows of each run, what was done, for the note, and warnings.

    Args:
        table: the file, for messages.
        plan: what its columns are.
        points: its rows.
        how: `last` of each run, `refuse`, or `runs`: every row is one.
        is_schedule: the lr is known to be the schedule's value at each row.

    Returns:
        The rows of each run by tokens, so that the last is the one to use; in the
        file's order of those.

    Raises:
        DataError: the file holds checkpoints and `how` is `refuse`, or their lr is the
            schedule's value at that moment.
    """
    every = [[k] for k in range(len(points))]
    if how == "runs" or plan.title:
        return every, "", []
    is_named = "name" in plan.texts
    groups = _by_name(points) if is_named else _by_settings(points)
    if groups is None:
        return every, "", [] if is_named else _some_only(table, points)
    many = [group for group in groups if len(group) > 1]
    if not is_schedule:
        _check_lr(table, plan, points, many)
    first = f"{table.file} line {points[many[0][0]].line}"
    what = f"{len(points)} rows look like checkpoints of {len(groups)} runs"
    if how == "refuse":
        raise DataError(
            f"{first}: {what} (one run at several tokens), and --checkpoints refuse "
            "refuses them. Keep the last row of each, or say --checkpoints last, or "
            "runs if every row is a run of its own."
        )
    single = len(groups) - len(many)
    some = f" ({single} of one row, taken as finished)" if single else ""
    ordered = [sorted(g, key=lambda k: points[k].tokens) for g in groups]
    ordered.sort(key=lambda group: group[-1])
    said = f"; {what}{some}: the last of each is used (--checkpoints runs for all)"
    return ordered, said, []


def check_ids(
    table: Table, points: Sequence[Point], names: Mapping[str, Sequence[str]]
) -> None:
    """Refuse two columns of ids that tell runs apart differently.

    Args:
        table: the file, for messages.
        points: its rows.
        names: of each row, by column.

    Raises:
        DataError: other rows would be a run's last by the one than by the other.
    """
    first: tuple[str, list[list[int]]] | None = None
    for column, ids in names.items():
        named = [replace(point, name=x) for point, x in zip(points, ids, strict=True)]
        groups = _by_name(named) or [[k] for k in range(len(points))]
        found = sorted(sorted(group) for group in groups)
        if first is None:
            first = column, found
        elif found != first[1]:
            ways = (first, (column, found)), ((column, found), first)
            for (same, groups), (apart, others) in ways:
                pair = _parted(groups, others)
                if pair is None:
                    continue
                one, other = (points[k].line for k in pair)
                raise DataError(
                    f"{table.file} line {other}: expected one id for each run, but "
                    f"{quote(same)} makes lines {one} and {other} one run and "
                    f"{quote(apart)} does not. Say which to use: --map "
                    f"name={quote(same)} or --map name={quote(apart)}."
                )


def _parted(
    groups: Sequence[Sequence[int]], others: Sequence[Sequence[int]]
) -> tuple[int, int] | None:
    """Two rows of one group that are in different ones of the others."""
    owner = {row: k for k, group in enumerate(others) for row in group}
    for group in groups:
        for row in group:
            if owner[row] != owner[group[0]]:
                return group[0], row
    return None


def _some_only(table: Table, points: Sequence[Point]) -> list[str]:
    """Of rows that look like a log among others that do not, one sentence."""
    logs = [group for group in _in_order(points) if _is_log(points, group)]
    if not logs:
        return []
    ends = points[logs[0][0]].line, points[logs[0][-1]].line
    return [
        f"{table.file} lines {ends[0]} to {ends[1]} look like checkpoints of one run, "
        "but most rows do not: every row is taken as a run of its own. Keep the last "
        "row of each run, or add a column of their names."
    ]


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
    """The same without ids, where most runs look so."""
    groups = _in_order(points)
    alike = [g for g in groups if _is_log(points, g)]
    return groups if alike and len(alike) > _MOST * len(groups) else None


def _in_order(points: Sequence[Point]) -> list[list[int]]:
    """Runs without ids: they follow one another in the file's order."""
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
    return groups


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
            else "Say --lr-is-schedule cosine (cosine:floor=10%,warmup=2000 if you "
            "know them) to compute the peak lr of each run, or add a column of it."
        )
        flags = ["--lr-is-schedule", "cosine"]
        raise FlagsError(
            f"{table.file} line {points[rows[-1]].line}, column "
            f"{plan.terms['lr'].label}: expected the peak lr of each run, but within "
            f"one run it goes from {lr[0]:g} to {lr[-1]:g}: it is the schedule's value "
            f"at each of {len(points)} checkpoints of {len(groups)} runs. {remedy}",
            table.file,
            ["--map", f"lr={better[0]}"] if better else flags,
        )
