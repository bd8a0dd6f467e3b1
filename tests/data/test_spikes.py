"""Spikes: runs above the chord of their neighbours, in bowls of known spikes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from surrogate.data import Runs
from surrogate.data.spikes import excess

LR = np.exp(np.linspace(-8, -4, 6))
BATCH = np.exp(np.linspace(11, 14, 5))


def bowl(x: float, y: float, lean: float) -> tuple[np.ndarray, ...]:
    """Lr, batch and loss of a grid in a convex bowl that is steeper on one side."""
    lr, batch = (axis.ravel() for axis in np.meshgrid(LR, BATCH, indexing="ij"))
    u, v = np.log(lr) - x, np.log(batch) - y
    rise = 0.02 * (np.exp(lean * u) - 1 - lean * u) + 0.01 * v**2 + 0.004 * u * v
    return lr, batch, 3 * np.exp(rise + 0.01 * u**2)


@given(st.floats(-7, -5), st.floats(12, 13), st.floats(-1, 1))
def test_a_convex_bowl_has_no_spike_however_steep(
    x: float, y: float, lean: float
) -> None:
    assert excess(*bowl(x, y, lean)).max() < 1e-12


def test_a_spike_is_found_and_nothing_else() -> None:
    lr, batch, loss = bowl(-6, 12.5, 0.5)
    loss = loss.copy()
    inside = 3 * len(BATCH) + 2
    loss[inside] *= 1.08
    above = excess(lr, batch, loss)
    assert np.flatnonzero(above > 0.02).tolist() == [inside]
    # The chord is above the bowl, so that a spike is never overstated.
    assert 0.02 < above[inside] <= 0.08


def test_a_run_with_neighbours_on_one_side_only_is_none() -> None:
    lr, batch, loss = bowl(-6, 12.5, 0.5)
    loss = loss.copy()
    loss[-1] *= 1.15
    assert excess(lr, batch, loss).max() < 0.02


def test_each_cell_is_judged_alone() -> None:
    """Two cells on one grid, one twice as high: its chords would hide a spike."""
    lr, batch, loss = bowl(-6, 12.5, 0.5)
    spiked = loss.copy()
    spiked[17] *= 1.06
    both = Runs.from_arrays(
        lr=np.tile(lr, 2),
        batch=np.tile(batch, 2),
        params=np.repeat([1e8, 2e8], len(lr)),
        tokens=np.full(2 * len(lr), 4e9),
        loss=np.append(spiked, 2 * loss),
    )
    found = dict(both.spikes())
    assert list(found) == [17]
    assert found[17] == excess(both.lr_level[:30], batch, spiked)[17]
