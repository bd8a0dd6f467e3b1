"""Which runs went unstable, and which are set aside: a bad loss alone is neither.

Divergence is a jump: along lr, at one batch of one cell, the loss rises by more than
any smooth wall would. Runs that trained too little, and smooth hot walls, are the
surface's own. What neither a jump nor a wall explains (a spike with stable runs above
it, a loss far below all others) is set aside and named: it is in neither the bowl nor
the edge of stability.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from surrogate.base.shapes import Bool, Float64, Int64
from surrogate.data.dead import dead_batches
from surrogate.data.steps import (
    LOWER_LR,
    NEAR_BATCH,
    WORSE,
    Line,
    is_worse,
    wall_step,
)

Column = Float64[np.ndarray, " runs"]


class Verdict(IntEnum):
    """What a run is."""

    STABLE = 0
    DIVERGED = 1
    SPIKE = 2
    TOO_LOW = 3
    UNEXPLAINED = 4
    IMPOSSIBLE = 5


# Why runs that are set aside are, for people.
REASONS = {
    Verdict.SPIKE: "that spiked: stable runs at higher lr are better",
    Verdict.TOO_LOW: "far below all others of their cell (another unit, a slip?)",
    Verdict.UNEXPLAINED: "far above the rest of their cell, by no trend in lr",
    Verdict.IMPOSSIBLE: (
        "whose loss is more than twice what a guess at random costs, about 11 nats a "
        "token (a sum over tokens, a perplexity, another unit?)"
    ),
}
# Nats a token: twice a guess among a million words. Bits a byte are less.
MOST_NATS = 28.0
# The lowest loss of a cell is too low if it is below the next by this in ln, and by
# three times what lies between that one and the median: a bowl is flat at its bottom.
LOW_GAP, LOW_TIMES, LOW_OTHERS = 0.12, 3.0, 4


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
    for line in dead_batches(lines, verdict == Verdict.STABLE, batch):
        verdict[line.rows] = Verdict.DIVERGED
    for line in lines:
        _judge_first(line, verdict, (lr, batch, loss))
    return verdict


def impossible(loss: Column, verdict: Int64[np.ndarray, " runs"]) -> np.ndarray:
    """Which stable runs of a table have a loss that no stable run has.

    None where most have: the column is then in another unit, and is warned of as such.

    Args:
        loss: of all runs.
        verdict: of all runs.
    """
    stable = verdict == Verdict.STABLE
    found = np.flatnonzero(stable & (loss > MOST_NATS))
    return found if 2 * len(found) < stable.sum() else found[:0]


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


def _line(rows: np.ndarray, lr: Column, loss: Column) -> Line:
    rows = rows[np.argsort(lr[rows], kind="stable")]
    return Line(rows, np.log2(lr[rows]), loss[rows])


def _judge_line(line: Line, verdict: np.ndarray) -> None:
    """Jumps above a stable run of lower lr, and what lies above the first of them."""
    stable: list[int] = []
    best = np.inf
    jumped: list[int] = []
    for k in range(line.rows.size):
        is_bad = bool(stable) and is_worse(float(line.loss[k]), best)
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


def _is_jump(line: Line, below: list[int], k: int) -> bool:
    """Whether the step from the nearest stable run is more than a wall's."""
    last = below[-1]
    earlier = [j for j in below if line.x[j] < line.x[last]][-2:]
    if not earlier and _goes_on(line, last, k):
        return False
    # Over two steps as well, since noise can hide the last one.
    slopes = [
        float(np.log(line.loss[last] / line.loss[j]) / (line.x[last] - line.x[j]))
        for j in earlier
    ]
    slope = max(slopes, default=0.0)
    step = float(np.log(line.loss[k] / line.loss[last]))
    return step > wall_step(slope, float(line.x[k] - line.x[last]))


def _goes_on(line: Line, last: int, k: int) -> bool:
    """Whether ln loss rises on beyond a step as far and as steeply: a convex wall does.

    It tells a wall where no stable run of lower lr does, and falls nowhere; what
    diverged ends anywhere.
    """
    above = np.flatnonzero(line.x > line.x[k])
    if not above.size or (np.diff(line.loss[above]) < 0).any():
        return False
    rise = np.diff(np.log(line.loss[[last, k, above[0]]]))
    slope = rise / np.diff(line.x[[last, k, above[0]]])
    return bool(rise[1] >= rise[0] and slope[1] >= slope[0])


def _judge_first(
    line: Line,
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
        if below.size and is_worse(float(loss[row]), float(loss[below].min())):
            hotter = near[(lr[near] > lr[row]) & (verdict[near] == 0)]
            if hotter.size and loss[row] > (1 + WORSE) * loss[hotter].min():
                continue
            nearest = below[np.argmax(lr[below])]
            step = float(np.log(loss[row] / loss[nearest]))
            octaves = float(np.log2(lr[row] / lr[nearest]))
            if step > wall_step(_slope_at(int(nearest), below, columns), octaves):
                verdict[row] = Verdict.DIVERGED
        elif not below.size and steady.size > 1:
            best = float(loss[steady[steady != row]].min())
            falls = k + 1 < line.rows.size and line.loss[k + 1] < line.loss[k]
            alone = line.rows.size == 1
            if is_worse(float(loss[row]), best) and not (falls or alone):
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
