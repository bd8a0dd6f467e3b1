"""A fit with a law of how wrong it may be beyond its data, and where to ask."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from support.fit import quadratic
from surrogate.answers import Fit
from surrogate.fitting import discrepancy
from surrogate.fitting.discrepancy import Discrepancy

CELLS = np.log(np.array([(n, d) for n in (1e8, 2e8, 4e8) for d in (4e9, 1e10, 4e10)]))
INSIDE: dict[str, Any] = {"params": 2e8, "tokens": 2e10}
FAR: dict[str, Any] = {"params": 9e9, "tokens": 9e11}


def law(**changes: Any) -> Discrepancy:
    found = Discrepancy(
        cells=tuple(map(tuple, CELLS.tolist())),
        usual=discrepancy.usual(CELLS),
        level=0.01,
        settings=(0.1, 0.2),
        freedom=7,
        regret=0.0004,
        regions=8,
    )
    return dataclasses.replace(found, **changes)


def with_law(**changes: Any) -> Fit:
    return dataclasses.replace(quadratic(), discrepancy=law(**changes))
