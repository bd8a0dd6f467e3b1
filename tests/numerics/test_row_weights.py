"""Weights of many fits: plans against loops."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surrogate.numerics import row_weights
from surrogate.numerics.row_weights import Weights

ROUNDING = 1e-12
RNG = np.random.default_rng(0)
ROWS, PROBLEMS, CELLS = 11, 7, 3
BASE, CELL = RNG.uniform(0.5, 2.0, ROWS), np.arange(ROWS) % CELLS
COUNTS = RNG.poisson(1.0, size=(PROBLEMS, CELLS)).astype(np.float64)
PLANS = {
    "given": row_weights.given(RNG.uniform(size=(PROBLEMS, ROWS))),
    "cells": row_weights.per_cell(BASE, CELL, COUNTS),
    # The last cell has no row: its counts weigh nothing.
    "empty cell": row_weights.per_cell(BASE, CELL, np.tile(COUNTS, (1, 2))[:, :4]),
}


def rows(plan: Weights) -> np.ndarray:
    with jax.enable_x64(True):
        return np.asarray(
            row_weights.rows_of(plan.plan, plan.shared, jnp.asarray(plan.each))
        )


def test_given_and_cells_are_what_their_names_say() -> None:
    # Closed form, to the bit.
    np.testing.assert_array_equal(rows(PLANS["given"]), PLANS["given"].each)
    wanted = [[BASE[i] * COUNTS[b, CELL[i]] for i in range(ROWS)] for b in range(7)]
    np.testing.assert_array_equal(rows(PLANS["cells"]), wanted)


@pytest.mark.parametrize("width", [1, 4, 16, 17])
@pytest.mark.parametrize("plan", PLANS.values(), ids=list(PLANS))
def test_counts_times_the_columns_are_sums_over_the_rows(
    plan: Weights, width: int
) -> None:
    # Independent code: a loop over problems; tolerance: rounding of eleven terms.
    columns = RNG.normal(size=(ROWS, width))
    wanted = np.stack([w @ columns for w in rows(plan)])
    with jax.enable_x64(True):
        ready = row_weights.columns_of(plan.plan, plan.shared, jnp.asarray(columns))
        found = plan.each @ np.asarray(ready)
    np.testing.assert_allclose(found[:, :width], wanted, rtol=ROUNDING, atol=1e-12)
    assert (found[:, width:] == 0).all()
    assert len(ready) == plan.plan.places
    assert len(plan) == PROBLEMS


def test_a_cell_without_counts_is_refused() -> None:
    for cell, got in ((CELL - 1, "-1 to"), (CELL + COUNTS.shape[1], "got")):
        with pytest.raises(ValueError, match=f"expected cells from 0 to .*{got}"):
            row_weights.per_cell(BASE, cell, COUNTS)
