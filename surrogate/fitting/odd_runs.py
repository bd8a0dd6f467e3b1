"""Single losses that no convex surface can have, by name: a digit mistyped, a spike.

Along lr at one batch, or along batch at one lr, a convex curve lies below the chords of
its runs. Where a line of runs does not, and does without one of them, that one is odd:
it lies above its neighbours, or so far below that they lie above their own chords.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from surrogate.base.shapes import Bool, Float64
from surrogate.base.units import format_lr, format_percent, format_tokens_exact
from surrogate.data import Runs
from surrogate.fitting.objective import Noise

# By how much a line is off a convex one, a fraction of the loss and in standard
# deviations of the noise: a run and its chord differ by 1.2 of them.
LEAST, NOISES = 0.02, 6.0
# What is left without the odd run, of what a line was off.
_LEFT = 0.25
# So many are named.
_MOST = 3


class Odd(NamedTuple):
    """A run that alone keeps a line from being convex.

    Attributes:
        row: of the table.
        off: above what the others lead to, a fraction of the loss; below if negative.
    """

    row: int
    off: float


def warnings_of(runs: Runs, noise: Noise, *, is_unclear: bool) -> list[str]:
    """A sentence for each odd run, the oddest first.

    Args:
        runs: of the table.
        noise: what a fit leaves unexplained.
        is_unclear: no best is shown, and an odd run may be why. Runs above are named
            then, too, and the noise, of which it is a part, is no measure.
    """
    least = LEAST if is_unclear else max(LEAST, NOISES * noise.floor)
    found: dict[int, Odd] = {}
    columns = np.log(runs.lr_level), np.log(runs.batch)
    for cell in range(len(runs.cells)):
        mine = np.flatnonzero((runs.cell == cell) & runs.usable)
        for along, across in (columns, columns[::-1]):
            for value in np.unique(across[mine]):
                odd = _of_line(runs, mine[across[mine] == value], along, least)
                if odd is not None and (is_unclear or odd.off < 0):
                    found[odd.row] = odd
    ranked = sorted(found.values(), key=lambda odd: -abs(odd.off))
    return [_said(runs, odd) for odd in ranked[:_MOST]]


def set_apart(runs: Runs, odd: Bool[np.ndarray, " n"]) -> list[str]:
    """A sentence on runs of which all others say that they cannot be.

    Args:
        runs: of the table.
        odd: which of the usable ones.
    """
    rows = np.flatnonzero(runs.usable)[odd]
    if not rows.size:
        return []
    named = "; ".join(_place(runs, int(row)) for row in rows[:_MOST])
    more = f"; and {len(rows) - _MOST} more" if len(rows) > _MOST else ""
    return [
        f"{len(rows)} of {int(runs.usable.sum())} runs lie where no smooth surface of "
        f"the others has them, and do not count as evidence on where the best lies: "
        f"{named}{more}. Check them."
    ]


def _of_line(
    runs: Runs, line: np.ndarray, along: np.ndarray, least: float
) -> Odd | None:
    """The odd run of a line; None where all is well, or several are odd alike."""
    order = line[np.argsort(along[line], kind="stable")]
    x, y = along[order], np.log(runs.loss[order])
    if len(np.unique(x)) < len(x) or len(x) < 5:
        return None
    whole = _above_chords(x, y)
    if whole.max() < np.log1p(least):
        return None
    without = np.array(
        [_above_chords(np.delete(x, k), np.delete(y, k)).sum() for k in range(len(x))]
    )
    best, second = np.argsort(without, kind="stable")[:2]
    left = _LEFT * float(whole.sum())
    if without[best] > left or without[second] <= left:
        return None
    others = np.delete(x, best), np.delete(y, best)
    off = float(y[best] - np.interp(x[best], *others))
    if abs(np.expm1(off)) < least:
        return None
    return Odd(int(order[best]), float(np.expm1(off)))


def _above_chords(
    x: Float64[np.ndarray, " n"], y: Float64[np.ndarray, " n"]
) -> Float64[np.ndarray, " inner"]:
    """How far each run but the first and last lies above the chord beside it."""
    share = (x[1:-1] - x[:-2]) / (x[2:] - x[:-2])
    return np.maximum(y[1:-1] - (1 - share) * y[:-2] - share * y[2:], 0.0)


def _said(runs: Runs, odd: Odd) -> str:
    side = "above" if odd.off > 0 else "below"
    return (
        f"{_place(runs, odd.row)}: its loss, {float(runs.loss[odd.row]):.4g}, lies "
        f"{format_percent(abs(odd.off))} {side} that of the runs beside it, which no "
        "smooth surface explains. Check it."
    )


def _place(runs: Runs, row: int) -> str:
    """Where a run stands, and its setting."""
    where = str(runs.where[row] or runs.name[row])
    batch = format_tokens_exact(round(float(runs.batch[row])))
    setting = f"lr {format_lr(float(runs.lr[row]))}, batch {batch} tokens"
    return f"{where} ({setting})" if where else f"The run at {setting}"
