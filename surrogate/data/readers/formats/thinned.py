"""The rows of a log that a reader needs: of each run the last, and a few before it.

A run is told by its name and by every column that does not move along it. Kept are its
rows at 1, 2, 4, 8, ... of the order in which they come, which is enough to see that
they are checkpoints and what its lr does, and the last: by tokens or steps where a
column says them, and once more with each loss that is not empty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from surrogate.base.shapes import Bool, Float64, Int64
from surrogate.data.readers.columns.roles import ALIASES, fold, role_of

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


class Piece(NamedTuple):
    """Rows that follow one another, as columns.

    Attributes:
        moves: whether a key cell of a row differs from the row's before; the first's
            does.
        codes: gives for each key column equal numbers for equal cells.
        order: what orders the rows of a run; None for the file's order.
        filled: of each loss column, which of its cells are not empty.
        lines: of each row, counted from the piece's first.
        take: gives the fields of rows by their places.
    """

    moves: Bool[np.ndarray, " _"]
    codes: Callable[[], Sequence[Indices]]
    order: Float64[np.ndarray, " _"] | None
    filled: Sequence[Bool[np.ndarray, " _"]]
    lines: Sequence[int]
    take: Callable[[Indices], Sequence[Fields]]


def number(text: str) -> float:
    """A number of a cell for ordering; none is before all others."""
    try:
        value = float(text)
    except ValueError:
        return -np.inf
    return value if value == value else -np.inf


def piece_of(log: Log, lines: Sequence[int], rows: Sequence[Sequence[str]]) -> Piece:
    """Rows of text, in the order of the file, as columns."""
    columns = list(zip(*rows, strict=True))
    codes = [coded(columns[k]) for k in log.keys]
    order = None if log.order is None else numbers(columns[log.order])
    filled = [
        np.array(list(map(bool, map(str.strip, columns[k]))), dtype=bool)
        for k in log.losses
    ]

    def take(places: Indices) -> list[Fields]:
        return [tuple(map(str.strip, rows[int(k)])) for k in places]

    return Piece(changes(codes), lambda: codes, order, filled, lines, take)


def changes(codes: Sequence[Indices]) -> Bool[np.ndarray, " _"]:
    """Where any code differs from the one before; the first does."""
    found = np.zeros(len(codes[0]), dtype=bool)
    found[:1] = True
    for code in codes:
        found[1:] |= code[1:] != code[:-1]
    return found


def coded(texts: Sequence[str]) -> Indices:
    """Equal numbers for texts that are equal without the blanks around them."""
    bare: dict[str, int] = {}
    seen = {t: bare.setdefault(t.strip(), len(bare)) for t in dict.fromkeys(texts)}
    return np.array(list(map(seen.__getitem__, texts)), dtype=np.int64)


def numbers(texts: Sequence[str]) -> Float64[np.ndarray, " _"]:
    """`number` of each."""
    try:
        return np.array(list(map(float, texts)), dtype=np.float64)
    except ValueError:
        return np.array(list(map(number, texts)), dtype=np.float64)


def add(kept: Thinned, piece: Piece, first: int) -> None:
    """Offer the rows of a piece to those kept so far.

    Args:
        kept: those so far.
        piece: the next ones.
        first: the line on which the piece begins.
    """
    count = len(piece.moves)
    starts = np.flatnonzero(piece.moves)
    # Rows brought together by run, where runs take turns.
    rows = None
    if len(starts) > _MOST_STRETCHES * count:
        rows, starts = _groups(piece.codes())
    sizes = np.diff(starts, append=count)
    heads = piece.take(_at(rows, starts))
    keys = [tuple(row[k] for k in kept.log.keys) for row in heads]
    some = []
    for key, start, size in zip(keys, starts.tolist(), sizes.tolist(), strict=True):
        before = kept.seen(key, size)
        some.extend(start + at for at in _powers(before, before + size))
    some = _at(rows, np.array(some, dtype=np.int64))
    for row, fields in zip(some.tolist(), piece.take(some), strict=True):
        kept.keep(first + piece.lines[row], fields)
    value = np.zeros(count)
    if piece.order is not None:
        value = _at_all(rows, np.where(np.isnan(piece.order), -np.inf, piece.order))
    last = np.unique(np.concatenate(_ends(piece, rows, starts, sizes, value)))
    owner = np.searchsorted(starts, last, side="right") - 1
    place = _at(rows, last)
    ends = zip(place.tolist(), owner.tolist(), last.tolist(), strict=True)
    found = zip(ends, piece.take(place), strict=True)
    for (row, group, position), fields in sorted(found):
        at = -np.inf if piece.order is None else float(value[position])
        kept.end(keys[group], at, first + piece.lines[row], fields)


def _powers(first: int, end: int) -> list[int]:
    """From `first` on, the places 0, 1, 3, 7, 15, ... below `end`."""
    powers = (2**k - 1 for k in range(first.bit_length(), end.bit_length() + 1))
    return [at - first for at in powers if first <= at < end]


def _at(rows: Indices | None, places: Indices) -> Indices:
    """The rows at places among rows that were brought together."""
    return places if rows is None else rows[places]


def _at_all(rows: Indices | None, values: np.ndarray) -> np.ndarray:
    return values if rows is None else values[rows]


def _ends(
    piece: Piece,
    rows: Indices | None,
    starts: Indices,
    sizes: Indices,
    value: np.ndarray,
) -> list[Indices]:
    """Places that may be the last of their run, by all rows and by each loss."""
    falls = np.flatnonzero(value[1:] < value[:-1]) + 1
    is_ordered = bool(np.isin(falls, starts).all())
    found = [starts + sizes - 1] if is_ordered else []
    for mask in (np.ones(len(value), dtype=bool), *piece.filled):
        if found and mask.all():
            continue
        places = np.flatnonzero(_at_all(rows, mask))
        of = np.searchsorted(starts, places, side="right")
        if not is_ordered:
            order = np.lexsort((places, value[places], of))
            places, of = places[order], of[order]
        found.append(places[np.append(of[1:] != of[:-1], True)[: len(of)]])
    return found


def _groups(codes: Sequence[Indices]) -> tuple[Indices, Indices]:
    """The rows of one run after another, and the places where each begins."""
    joined = codes[0]
    for more in codes[1:]:
        span = int(more.max(initial=0)) + 1
        if int(joined.max(initial=0)) >= 2**62 // span:
            joined = np.unique(joined, return_inverse=True)[1].astype(np.int64)
        joined = joined * span + more
    rows = np.argsort(joined, kind="stable")
    starts = np.flatnonzero(changes([joined[rows]]))
    return rows.astype(np.int64), starts.astype(np.int64)
