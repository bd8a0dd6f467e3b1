"""What all fits to one table share."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from surrogate.base.shapes import Float64
from surrogate.data.coordinates import Rows
from surrogate.fitting import intervals, resampling
from surrogate.fitting.shards import Shards
from surrogate.numerics.least_squares import Progress


class Task(NamedTuple):
    """A table and what is asked of its fits.

    Attributes:
        rows: that are fitted.
        box: lower and upper bounds of u within which a cell's minimum is sought.
        unit: of each coordinate of u [ln].
        bootstrap: draws asked for.
        seed: of starts and resampling.
        progress: told of finished work.
        shards: where ranges of draws are kept.
    """

    rows: Rows
    box: Float64[np.ndarray, "2 choices"]
    unit: Float64[np.ndarray, " choices"]
    bootstrap: int
    seed: int
    progress: Progress | None = None
    shards: Shards | None = None

    @property
    def cells(self) -> int:
        """How many have rows."""
        return len(np.unique(self.rows.cell))

    @property
    def is_few(self) -> bool:
        """Whether cells are too few to be resampled: errors are steps, one a cause."""
        return self.cells < intervals.MIN_CELLS_PAIRS

    @property
    def has_draws(self) -> bool:
        """Whether there are draws and leaves."""
        return resampling.has_draws(self.rows, len(self.unit), self.bootstrap)
