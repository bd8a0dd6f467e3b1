"""Runs that spiked short of diverging: losses that no convex bowl can have.

Along lr at one batch, or along batch at one lr, a convex curve lies below the chord of
any two of its points. A run well above the chord of its neighbours stands out however
steep the bowl is; the runs at the ends of a line have no such test.
"""

from __future__ import annotations

import numpy as np

from surrogate.data.cells import Column

# This far above its neighbours' chord a run is a spike and no noise.
SPIKE_EXCESS = 0.02


def excess(lr: Column, batch: Column, loss: Column) -> Column:
    """How far each run of a cell is above its neighbours' chords, a fraction.

    Args:
        lr: levels of the cell's runs that did not diverge.
        batch: tokens per step.
        loss: nats per token.

    Returns:
        The larger of both directions; 0 where a run has no neighbours on both sides.
    """
    found = np.zeros(loss.size)
    y = np.log(loss)
    for along, across in ((np.log(lr), batch), (np.log(batch), lr)):
        for value in np.unique(across):
            line = np.flatnonzero(across == value)
            for row in line.tolist():
                above = y[row] - _chord(along[line], y[line], float(along[row]))
                found[row] = max(found[row], np.expm1(above))
    return found


def _chord(x: np.ndarray, y: np.ndarray, at: float) -> float:
    """Between the nearest points on both sides; infinity where one side has none."""
    below, above = x < at, x > at
    if not (below.any() and above.any()):
        return np.inf
    low, high = x[below].max(), x[above].min()
    # Of repeated runs at a neighbour the worse one: a chord must not be too low.
    at_low, at_high = y[x == low].max(), y[x == high].max()
    share = (at - low) / (high - low)
    return float((1 - share) * at_low + share * at_high)
