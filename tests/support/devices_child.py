"""Solves one set of problems on all devices of its process; run by test_devices.

python devices_child.py FILE
"""

from __future__ import annotations

import sys
from typing import Any

import jax
import numpy as np

from surrogate.families import Posynomial, Quadratic, Shape
from surrogate.numerics import least_squares, row_weights

ROWS, PROBLEMS, CELLS = 40, 200, 5


def main(file: str) -> None:
    """Write the solutions and how many devices there were."""
    # Small calls, so that there is more than one for each of the devices.
    least_squares._TURNS, least_squares._ELEMENTS["cpu"] = 1, 1
    rng = np.random.default_rng(5)
    z, target = rng.normal(size=(ROWS, 4)), 0.01 * rng.normal(size=ROWS)
    target += 0.05 * (z[:, 0] ** 2 + z[:, 1] ** 2) - 0.1 * z[:, 2]
    base, cell = np.full(ROWS, 1e4), np.arange(ROWS) % CELLS
    curved, linear = Posynomial(Shape(2, 2, 0), 3), Quadratic(Shape(2, 2, 0))
    with jax.enable_x64(True):
        start = curved.starts(np.random.default_rng(0), 1)
    found: dict[str, Any] = {"devices": np.array(len(jax.local_devices()))}
    counts = [
        rng.poisson(1.0, (PROBLEMS, places)).astype(float) for places in (CELLS, ROWS)
    ]
    plans = {
        "cells": row_weights.per_cell(base, cell, counts[0]),
        "rows": row_weights.given(counts[1] * base),
    }
    for name, plan in plans.items():
        found[f"linear {name}"] = least_squares.solve(linear, z, target, plan).theta
    theta0 = np.repeat(start, PROBLEMS, axis=0)
    solved = least_squares.solve(
        curved, z, target, plans["cells"], theta0, iterations=12, bulk=12
    )
    found |= {"curved cells": solved.theta, "steps": solved.iterations}
    np.savez(file, **found)


if __name__ == "__main__":
    main(sys.argv[1])
