"""Steps of the loss along lr or batch: how large a smooth surface takes them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from surrogate.base.shapes import Float64, Int64

# A run counts as bad from here on: a share of a better one's loss, and nats.
WORSE, WORSE_NATS = 0.25, 0.15
# A step in ln loss is a jump above JUMP plus WALL times what the last slope foretells.
# A wall steepens: over d octaves by up to 2^d (walls of 2.87, 3.06, 3.59, 5.20, 12.3).
JUMP, WALL = 0.15, 3.0
# References where a batch has no lower lr of its own: lr at least a fifth lower, batch
# within a factor of 2.
LOWER_LR, NEAR_BATCH = 0.8, 2.0


class Line(NamedTuple):
    """Runs of one cell and batch, ordered by lr.

    Attributes:
        rows: which.
        x: log2 lr.
        loss: nats.
    """

    rows: Int64[np.ndarray, " _"]
    x: Float64[np.ndarray, " _"]
    loss: Float64[np.ndarray, " _"]


def is_worse(loss: float, best: float) -> bool:
    """Whether a loss is far above a better one, by share and in nats."""
    return loss > (1 + WORSE) * best and loss - best > WORSE_NATS


def wall_step(slope: float, octaves: float) -> float:
    """The largest step in ln loss that a smooth wall takes over so many octaves."""
    return JUMP + WALL * max(slope, 0.0) * octaves * 2**octaves
