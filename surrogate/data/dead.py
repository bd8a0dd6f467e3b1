"""Batches at which every lr diverged, which only the batches beside them reveal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from surrogate.base.shapes import Bool, Float64
from surrogate.data.steps import JUMP, LOWER_LR, WORSE, Line, is_worse, wall_step

# A batch is held against the next one toward the best that is at most so far off: of
# the released sweeps no stable loss differs by 10 % over one octave.
BESIDE_OCTAVES = 2.0


def dead_batches(
    lines: Sequence[Line],
    is_stable: Bool[np.ndarray, " runs"],
    batch: Float64[np.ndarray, " runs"],
) -> list[Line]:
    """The batches of one cell of which every lr diverged.

    From the batch of the lowest stable loss outwards, each batch of two runs or more is
    held against the last one that trained: at each lr it must jump from there.

    Args:
        lines: runs of each batch, ascending.
        is_stable: by their own batch alone.
        batch: of all runs of the cell, those marked as diverged included [tokens].
    """
    stable = [_stable(line, is_stable) for line in lines]
    best = [line.loss.min(initial=np.inf) for line in stable]
    if len(lines) < 2 or not np.isfinite(best).any():
        return []
    at = int(np.argmin(best))
    found = []
    for order in (range(at - 1, -1, -1), range(at + 1, len(lines))):
        trained = [stable[at]]
        for k in order:
            own = float(batch[lines[k].rows[0]])
            off = [float(np.log2(own / batch[t.rows[0]])) for t in trained[-2:]]
            if (batch == own).sum() > 1 and _is_dead(lines[k], trained[-2:], off):
                found.append(lines[k])
            elif stable[k].rows.size:
                trained.append(stable[k])
    return found


def _stable(line: Line, is_stable: Bool[np.ndarray, " runs"]) -> Line:
    kept = is_stable[line.rows]
    return Line(line.rows[kept], line.x[kept], line.loss[kept])


def _is_dead(line: Line, beside: list[Line], octaves: list[float]) -> bool:
    """Whether every run of a batch is bad, and by a jump where the next one has its lr.

    A loss that falls with lr as it does beside is one of too little training, and the
    surface's own; of larger batches, which have fewer steps, already where the batch
    beside is past its own best.

    Args:
        line: runs of the batch.
        beside: stable runs of the last one or two batches that trained, nearest last.
        octaves: from each of them to this batch.
    """
    near = beside[-1]
    if abs(octaves[-1]) > BESIDE_OCTAVES:
        return False
    if not all(is_worse(float(loss), float(near.loss.min())) for loss in line.loss):
        return False
    best = near.x[near.loss.argmin()]
    is_cold = line.x[0] < best if octaves[-1] > 0 else line.x[-1] <= best
    if is_cold and (np.diff(line.loss) < 0).all():
        return False
    references = [_reference(near, float(x)) for x in line.x]
    if references[0] is None:
        return False
    for loss, found in zip(line.loss, references, strict=True):
        if found is None:
            continue
        k, off = found
        wall = wall_step(_slope_of(near, k), off) - JUMP
        if len(beside) > 1 and (far := _reference(beside[0], float(near.x[k]))):
            rise = np.log(near.loss[k] / beside[0].loss[far[0]])
            slope = float(rise / abs(octaves[0] - octaves[1]))
            wall += wall_step(slope, abs(octaves[-1])) - JUMP
        if np.log(loss / near.loss[k]) <= max(JUMP + wall, np.log1p(WORSE)):
            return False
    return True


def _reference(line: Line, x: float) -> tuple[int, float] | None:
    """The run nearest to an lr, none hotter, and how many octaves colder it is."""
    below = np.flatnonzero(line.x <= x - np.log2(LOWER_LR))
    if not below.size:
        return None
    k = int(below[np.abs(line.x[below] - x).argmin()])
    return k, max(x - float(line.x[k]), 0.0)


def _slope_of(line: Line, k: int) -> float:
    """The last slope of ln loss an octave below a run."""
    earlier = np.flatnonzero(line.x < line.x[k])
    if not earlier.size:
        return 0.0
    j = earlier[-1]
    return float(np.log(line.loss[k] / line.loss[j]) / (line.x[k] - line.x[j]))
