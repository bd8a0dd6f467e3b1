"""Which runs went unstable, and which are set aside: a bad loss alone is neither.

Divergence is a jump: along lr, at one batch of one cell, the loss rises by more than
any smooth wall would. Runs that trained too little, and smooth hot walls, are the
surface's own. What neither a jump nor a wall explains (a spike with stable runs above
it, a loss far below all others) is set aside and named: it is in neither the bowl nor
the edge of stability.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

Column = Float64[np.ndarray, " runs"]


class Verdict(IntEnum):
    """What a run is."""

    STABLE = 0
    DIVERGED = 1
    SPIKE = 2
    TOO_LOW = 3
    UNEXPLAINED = 4


# Why runs that are set aside are, for people.
REASONS = {
    Verdict.SPIKE: "that spiked: stable runs at higher lr are better",
    Verdict.TOO_LOW: "far below all others of their cell (another unit, a slip?)",
    Verdict.UNEXPLAINED: "far above the rest of their cell, by no trend in lr",
}
# A run counts as bad from here on: a share of a better one's loss, and nats.
WORSE, WORSE_NATS = 0.25, 0.15
# A step in ln loss is a jump above JUMP plus WALL times what the last slope foretells.
# A wall steepens: over d octaves by up to 2^d (walls of 2.87, 3.06, 3.59, 5.20, 12.3).
JUMP, WALL = 0.15, 3.0
# References where a batch has no lower lr of its own: lr at least a fifth lower, batch
# within a factor of 2.
LOWER_LR, NEAR_BATCH = 0.8, 2.0
# The lowest loss of a cell is too low if it is below the next by this in ln, and by
# three times what lies between that one and the median: a bowl is flat at its bottom.
LOW_GAP, LOW_TIMES, LOW_OTHERS = 0.12, 3.0, 4


class _Line(NamedTuple):
    """Runs of one cell and batch, ordered by lr.

    Attributes:
        rows: which.
        x: log2 lr.
        loss: nats.
    """

    rows: Int64[np.ndarray, " _"]
    x: Float64[np.ndarray, " _"]
    loss: Float64[np.ndarray, " _"]


def judge(
    lr: Column,
    batch: Column,
    loss: Column,
    marked: Bool[np.ndarray, " runs"],
    above: float | None = None,
) -> Int64[np.ndarray, " runs"]:
    """A `Verdict` for each run of one cell.

    Args:
        lr: levels of the cell's runs.
        batch: tokens a step.
        loss: nats; anything where marked.
        marked: known to have diverged: by status, nan or inf.
        above: instead of looking for jumps: a run has diverged if it is this share
            above the lowest.
    """
    verdict = np.where(marked, Verdict.DIVERGED, Verdict.STABLE).astype(np.int64)
    finite = np.flatnonzero(~marked)
    low = _too_low(loss[finite])
    verdict[finite[low]] = Verdict.TOO_LOW
    open_rows = finite[~low]
    if above is not None:
        bad = loss[open_rows] > (1 + above) * loss[open_rows].min(initial=np.inf)
        verdict[open_rows[bad]] = Verdict.DIVERGED
        return verdict
    lines = [
        _line(open_rows[batch[open_rows] == value], lr, loss)
        for value in np.unique(batch[open_rows])
    ]
    for line in lines:
        _judge_line(line, verdict)
    for line in lines:
        _judge_first(line, verdict, (lr, batch, loss))
    return verdict


def _too_low(loss: Column) -> Bool[np.ndarray, " runs"]:
    """Losses that no neighbour leads to; each time the lowest of those that remain."""
    found = np.zeros(loss.size, dtype=bool)
    order = np.argsort(loss)
    for k, row in enumerate(order):
        rest = np.log(loss[order[k + 1 :]])
        if rest.size < LOW_OTHERS:
            break
        gap = rest[0] - np.log(loss[row])
        if gap <= max(LOW_GAP, LOW_TIMES * (np.median(rest) - rest[0])):
            break
        found[row] = True
    return found


def _line(rows: np.ndarray, lr: Column, loss: Column) -> _Line:
    rows = rows[np.argsort(lr[rows], kind="stable")]
    return _Line(rows, np.log2(lr[rows]), loss[rows])


def _is_worse(loss: float, best: float) -> bool:
    return loss > (1 + WORSE) * best and loss - best > WORSE_NATS


def _judge_line(line: _Line, verdict: np.ndarray) -> None:
    """Jumps above a stable run of lower lr, and what lies above the first of them."""
    stable: list[int] = []
    best = np.inf
    jumped: list[int] = []
    for k in range(line.rows.size):
        is_bad = bool(stable) and _is_worse(float(line.loss[k]), best)
        below = [j for j in stable if line.x[j] < line.x[k]] if is_bad else []
        if below and (jumped or _is_jump(line, below, k)):
            jumped.append(k)
            continue
        # A stable run above a jump: what jumped was a spike.
        verdict[line.rows[jumped]] = Verdict.SPIKE
        jumped = []
        stable.append(k)
        best = min(best, float(line.loss[k]))
    verdict[line.rows[jumped]] = Verdict.DIVERGED


def _is_jump(line: _Line, below: list[int], k: int) -> bool:
    """Whether the step from the nearest stable run is more than a wall's."""
    last = below[-1]
    earlier = [j for j in below if line.x[j] < line.x[last]][-2:]
    # Over two steps as well, since noise can hide the last one.
    slopes = [
        float(np.log(line.loss[last] / line.loss[j]) / (line.x[last] - line.x[j]))
        for j in earlier
    ]
    slope = max(slopes, default=0.0)
    step = float(np.log(line.loss[k] / line.loss[last]))
    return step > _wall(slope, float(line.x[k] - line.x[last]))


def _wall(slope: float, octaves: float) -> float:
    """The largest step in ln loss that a smooth wall takes over so many octaves."""
    return JUMP + WALL * max(slope, 0.0) * octaves * 2**octaves


def _judge_first(
    line: _Line,
    verdict: np.ndarray,
    columns: tuple[Column, Column, Column],
) -> None:
    """Runs with no stable run of lower lr at their batch: by those of batches nearby.

    Here the whole line may have diverged. Without any reference a bad run that does
    not improve with lr is unexplained.
    """
    lr, batch, loss = columns
    steady = np.flatnonzero(verdict == Verdict.STABLE)
    ratio = batch[steady] / batch[line.rows[0]]
    near = steady[(ratio <= NEAR_BATCH) & (ratio >= 1 / NEAR_BATCH)]
    for k, row in enumerate(line.rows):
        if verdict[row] != Verdict.STABLE:
            continue
        own = line.rows[line.x < line.x[k]]
        if (verdict[own] == Verdict.STABLE).any():
            return
        below = near[(lr[near] <= LOWER_LR * lr[row]) & (verdict[near] == 0)]
        if below.size and _is_worse(float(loss[row]), float(loss[below].min())):
            hotter = near[(lr[near] > lr[row]) & (verdict[near] == 0)]
            if hotter.size and loss[row] > (1 + WORSE) * loss[hotter].min():
                continue
            nearest = below[np.argmax(lr[below])]
            step = float(np.log(loss[row] / loss[nearest]))
            octaves = float(np.log2(lr[row] / lr[nearest]))
            if step > _wall(_slope_at(int(nearest), below, columns), octaves):
                verdict[row] = Verdict.DIVERGED
        elif not below.size and steady.size > 1:
            best = float(loss[steady[steady != row]].min())
            falls = k + 1 < line.rows.size and line.loss[k + 1] < line.loss[k]
            alone = line.rows.size == 1
            if _is_worse(float(loss[row]), best) and not (falls or alone):
                verdict[row] = Verdict.UNEXPLAINED


def _slope_at(
    row: int, below: np.ndarray, columns: tuple[Column, Column, Column]
) -> float:
    """The last slope of ln loss an octave at a run's own batch."""
    lr, batch, loss = columns
    earlier = below[(batch[below] == batch[row]) & (lr[below] < lr[row])]
    if not earlier.size:
        return 0.0
    last = earlier[np.argmax(lr[earlier])]
    return float(np.log(loss[row] / loss[last]) / np.log2(lr[row] / lr[last]))
