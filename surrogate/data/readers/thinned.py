"""The rows of a log that a reader needs: of each run the last, and a few before it.

A run is told by its name and by every column that does not move along it. Kept are its
rows at 1, 2, 4, 8, ... of the order in which they come, which is enough to see that
they are checkpoints and what its lr does, and the last: by tokens or steps where a
column says them, and once more with each loss that is not empty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64, Int64

from surrogate.data.readers.columns import ALIASES, fold, role_of

# Roles that move along a run; the first of the ordering ones orders its rows.
_ORDERS = ("tokens", "steps", "last_step", "samples")
_MOVING = ("lr", "loss", "flops", *_ORDERS)
# Of the first rows, a share of different (name, value) from which a column moves.
_MOVES = 0.5
# Stretches of one run, a share of the rows, up to which they stay as they lie.
_MOST_STRETCHES = 0.01

Indices = Int64[np.ndarray, " _"]
Fields = tuple[str, ...]


@dataclass(frozen=True)
class Log:
    """What the columns of a log are.

    Attributes:
        name: the column that tells runs apart.
        keys: all columns that do not move along a run, `name` among them.
        order: the column that orders the rows of a run; None for the file's order.
        losses: the columns that may be its loss.
    """

    name: int
    keys: tuple[int, ...]
    order: int | None
    losses: tuple[int, ...]


def log_of(header: Sequence[str], rows: Sequence[Fields]) -> Log | None:
    """What the columns of a log are by its first rows; None where no run has a name.

    Args:
        header: the columns' names.
        rows: the first of the file.
    """
    roles = [role_of(name) if name else None for name in header]
    names = [k for k, role in enumerate(roles) if role == "name"]
    if not names or not rows:
        return None
    # As the reader chooses among them; the others are keys.
    name = min(names, key=lambda k: ALIASES["name"].index(fold(header[k])))
    ids = {row[name] for row in rows}
    keys = []
    for k, role in enumerate(roles):
        pairs = {(row[name], row[k]) for row in rows}
        free = role is None and len(pairs) > max(_MOVES * len(rows), len(ids))
        if role not in _MOVING and not free:
            keys.append(k)
    order = next(
        (roles.index(role) for role in _ORDERS if role in roles),
        None,
    )
    losses = tuple(k for k, role in enumerate(roles) if role == "loss")
    return Log(name, tuple(keys), order, losses)


@dataclass
class Thinned:
    """Rows kept so far, by run.

    Attributes:
        log: what the columns are.
        rows: all that were seen.
    """

    log: Log
    rows: int = 0
    _seen: dict[Fields, int] = field(default_factory=dict)
    _kept: dict[int, Fields] = field(default_factory=dict)
    _last: dict[tuple[Fields, int], tuple[float, int, Fields]] = field(
        default_factory=dict
    )

    def add(self, line: int, fields: Fields) -> None:
        """One more row."""
        key = tuple(fields[k] for k in self.log.keys)
        place = self._seen.get(key, 0)
        self._seen[key] = place + 1
        self.rows += 1
        if place & (place + 1) == 0:
            self._kept[line] = fields
        at = -np.inf
        if self.log.order is not None:
            at = number(fields[self.log.order])
        self.end(key, at, line, fields)

    def seen(self, key: Fields, rows: int) -> int:
        """How many rows of a run came before; so many more come now."""
        before = self._seen.get(key, 0)
        self._seen[key] = before + rows
        self.rows += rows
        return before

    def keep(self, line: int, fields: Fields) -> None:
        """Keep a row."""
        self._kept[line] = fields

    def end(self, key: Fields, at: float, line: int, fields: Fields) -> None:
        """Offer a row as the last of its run, and of each loss that it has."""
        ends = [-1, *(k for k in self.log.losses if fields[k])]
        for what in ends:
            found = self._last.get((key, what))
            if found is None or at >= found[0]:
                self._last[key, what] = (at, line, fields)

    def result(self) -> list[tuple[int, Fields]]:
        """The rows to read, with their lines, in the file's order."""
        lines = dict(self._kept)
        lines.update({line: fields for _, line, fields in self._last.values()})
        return sorted(lines.items())

    @property
    def runs(self) -> int:
        """How many runs there are."""
        return len(self._seen)


def number(text: str) -> float:
    """A number of a cell for ordering; none is before all others."""
    try:
        value = float(text)
    except ValueError:
        return -np.inf
    return value if value == value else -np.inf


def add_columns(
    kept: Thinned,
    codes: Sequence[Indices],
    order: Float64[np.ndarray, " _"] | None,
    filled: Sequence[np.ndarray],
    lines: Indices,
    take: Callable[[Indices], Sequence[Fields]],
) -> None:
    """`Thinned.add` of many rows at once.

    Args:
        kept: so far.
        codes: of each key column, equal numbers for equal cells.
        order: what orders the rows of a run; None for the file's order.
        filled: of each loss column, which of its cells are not empty.
        lines: of each row.
        take: gives the fields of rows by their places.
    """
    count = len(lines)
    by_group = np.arange(count)
    group, first = _stretches(codes)
    if len(first) > _MOST_STRETCHES * count:
        # Runs take turns: rows of each are brought together.
        group, first = _groups(codes)
        by_group = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[by_group], np.arange(len(first)))
    sizes = np.diff(np.append(starts, count))
    keys = [tuple(row[k] for k in kept.log.keys) for row in take(first)]
    before = [kept.seen(key, int(n)) for key, n in zip(keys, sizes, strict=True)]
    place = np.empty(count, dtype=np.int64)
    place[by_group] = np.arange(count) - np.repeat(starts, sizes)
    place += np.array(before, dtype=np.int64)[group]
    some = np.flatnonzero(place & (place + 1) == 0)
    value = (
        np.zeros(count) if order is None else np.where(np.isnan(order), -np.inf, order)
    )
    falls = np.flatnonzero(np.diff(value[by_group]) < 0) + 1
    # None where rows of a run come in order, as in most logs.
    all_rows = [] if np.isin(falls, starts).all() else [np.ones(count, dtype=bool)]
    ends = [] if all_rows else [by_group[starts + sizes - 1]]
    masks = [*all_rows, *(mask for mask in filled if not mask.all())]
    ends += [_last(group, value, mask, len(first)) for mask in masks]
    last = np.unique(np.concatenate(ends))
    for row, fields in zip(some.tolist(), take(some), strict=True):
        kept.keep(int(lines[row]), fields)
    for row, fields in zip(last.tolist(), take(last), strict=True):
        at = -np.inf if order is None else float(value[row])
        kept.end(keys[group[row]], at, int(lines[row]), fields)


def _stretches(codes: Sequence[Indices]) -> tuple[Indices, Indices]:
    """The stretch of rows of one run that each row is in, and the first of each."""
    is_new = np.zeros(len(codes[0]), dtype=bool)
    is_new[:1] = True
    for code in codes:
        is_new[1:] |= code[1:] != code[:-1]
    return np.cumsum(is_new) - 1, np.flatnonzero(is_new)


def _groups(codes: Sequence[Indices]) -> tuple[Indices, Indices]:
    """The group of each row, and the first row of each."""
    joined = codes[0]
    for more in codes[1:]:
        span = int(more.max(initial=0)) + 1
        if int(joined.max(initial=0)) >= 2**62 // span:
            joined = np.unique(joined, return_inverse=True)[1].astype(np.int64)
        joined = joined * span + more
    _, first, group = np.unique(joined, return_index=True, return_inverse=True)
    return group.astype(np.int64).reshape(-1), first.astype(np.int64)


def _last(group: Indices, value: np.ndarray, mask: np.ndarray, groups: int) -> Indices:
    """The row of the largest value in each group, the later of equal ones."""
    rows = np.flatnonzero(mask)
    order = rows[np.lexsort((rows, value[rows], group[rows]))]
    ends = np.searchsorted(group[order], np.arange(groups), side="right") - 1
    # A group without a row finds another's last, which is kept anyway.
    return order[ends[ends >= 0]].astype(np.int64)
