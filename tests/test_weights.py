"""Weights of many fits: plans against loops, draws that depend on nobody else."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surrogate import weights
from surrogate.weights import Weights
from surrogate_kernels import ref

ROUNDING = 1e-12
RNG = np.random.default_rng(0)
ROWS, PROBLEMS, CELLS = 11, 7, 3
BASE, CELL = RNG.uniform(0.5, 2.0, ROWS), np.arange(ROWS) % CELLS
COUNTS = RNG.poisson(1.0, size=(PROBLEMS, CELLS)).astype(np.float64)
PLANS = {
    "given": weights.given(RNG.uniform(size=(PROBLEMS, ROWS))),
    "cells": weights.per_cell(BASE, CELL, COUNTS),
    "drawn rows": weights.poisson(BASE, PROBLEMS, seed=3),
    "drawn cells": weights.poisson(BASE, PROBLEMS, seed=3, cell=CELL),
}
each = pytest.mark.parametrize("plan", PLANS.values(), ids=list(PLANS))
either = pytest.mark.parametrize("is_exact", [False, True], ids=["floats", "digits"])


def rows(plan: Weights) -> np.ndarray:
    with jax.enable_x64(True):
        return np.asarray(
            weights.rows_of(plan.plan, plan.shared, jnp.asarray(plan.each))
        )


def sums(plan: Weights, columns: Any, is_exact: bool) -> np.ndarray:
    with jax.enable_x64(True):
        ready = weights.condense(plan.plan, is_exact, plan.shared, jnp.asarray(columns))
        each = jnp.asarray(plan.each)
        found = np.asarray(weights.sums_of(plan.plan, plan.shared, each, ready))
        width = np.shape(columns)[1]
        assert (found[:, width:] == 0).all()
        return found[:, :width]


def test_given_and_cells_are_what_their_names_say() -> None:
    # Closed form, to the bit.
    np.testing.assert_array_equal(rows(PLANS["given"]), PLANS["given"].each)
    wanted = [[BASE[i] * COUNTS[b, CELL[i]] for i in range(ROWS)] for b in range(7)]
    np.testing.assert_array_equal(rows(PLANS["cells"]), wanted)


@either
@each
def test_sums_are_those_of_the_rows(plan: Weights, is_exact: bool) -> None:
    # Independent code: a loop over problems; tolerance: rounding of eleven terms.
    columns = RNG.normal(size=(ROWS, 4))
    wanted = np.stack([w @ columns for w in rows(plan)])
    found = sums(plan, columns, is_exact)
    np.testing.assert_allclose(found, wanted, rtol=ROUNDING, atol=1e-12)
    assert len(plan) == PROBLEMS


@pytest.mark.parametrize("name", ["drawn rows", "drawn cells"])
def test_drawn_weights_are_base_times_the_kernels_draws(name: str) -> None:
    # Independent code: a loop over problems and rows, from the definition; to the bit.
    place = np.arange(ROWS) if name == "drawn rows" else CELL
    wanted = np.empty((PROBLEMS, ROWS))
    for b in range(PROBLEMS):
        counts = np.asarray(ref.poisson_counts(3, b, int(place.max()) + 1))
        for i in range(ROWS):
            wanted[b, i] = BASE[i] * counts[place[i]]
    np.testing.assert_array_equal(rows(PLANS[name]), wanted)
    assert len(np.unique(wanted / BASE)) > 2


@either
@pytest.mark.parametrize("places", [1, 3, 4, 5, 8])
def test_sums_hold_for_any_number_of_places(places: int, is_exact: bool) -> None:
    # Independent code: a loop; tolerance: rounding. Draws come in fours, the last of
    # which is padded; a label that no row has is a place without weight.
    rng = np.random.default_rng(places)
    columns, base = rng.normal(size=(9, 2)), rng.uniform(1.0, 2.0, 9)
    label = np.append(rng.integers(places, size=8), places - 1)
    by_cell = weights.poisson(base, 40, seed=2**63 + 5, cell=label)
    by_row = weights.poisson(base[:places], 40, seed=2**63 + 5)
    for plan, some in ((by_cell, columns), (by_row, columns[:places])):
        wanted = np.stack([w @ some for w in rows(plan)])
        found = sums(plan, some, is_exact)
        np.testing.assert_allclose(found, wanted, rtol=ROUNDING, atol=1e-12)
        assert plan.plan.places == places


@either
@pytest.mark.parametrize("places", [2048, 2049, 2051, 4097, 9000])
def test_sums_of_many_rows_come_in_chunks(places: int, is_exact: bool) -> None:
    # Independent code: the kernels' draws of a problem as one array; tolerance:
    # rounding of so many terms. No row is left out or counted twice at a chunk's end.
    rng = np.random.default_rng(places)
    columns, base = rng.normal(size=(places, 3)), rng.uniform(1.0, 2.0, places)
    plan = weights.poisson(base, 5, seed=7)
    counts = np.stack([np.asarray(ref.poisson_counts(7, b, places)) for b in range(5)])
    wanted = (counts * base) @ columns
    found = sums(plan, columns, is_exact)
    np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-10)
    assert weights.chunk_of(plan.plan) <= 2048


def test_a_cell_without_counts_is_refused() -> None:
    for cell, got in ((CELL - 1, "-1 to"), (CELL + COUNTS.shape[1], "got")):
        with pytest.raises(ValueError, match=f"expected cells from 0 to .*{got}"):
            weights.per_cell(BASE, cell, COUNTS)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_of_no_two_words_is_refused(seed: int) -> None:
    message = rf"expected a seed from 0 to 2\^64 - 1, got {seed}"
    with pytest.raises(ValueError, match=message):
        weights.poisson(BASE, 2, seed=seed)


@pytest.mark.parametrize("cell", [None, CELL], ids=["rows", "cells"])
def test_a_draw_depends_on_seed_and_number_alone(cell: np.ndarray | None) -> None:
    # Property, to the bit.
    many = rows(weights.poisson(BASE, 50, seed=9, cell=cell))
    few = rows(weights.poisson(BASE, 5, seed=9, cell=cell, first=20))
    np.testing.assert_array_equal(few, many[20:25])
    other = rows(weights.poisson(BASE, 50, seed=10, cell=cell))
    assert (other != many).any(axis=1).mean() > 0.5
    counts = many / BASE
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-12)
    if cell is not None:
        for label in range(CELLS):
            np.testing.assert_array_equal(
                np.round(counts[:, cell == label]).std(axis=1), 0
            )


def test_draws_have_mean_and_variance_one() -> None:
    # Statistical: 22,000 draws, five standard errors.
    counts = rows(weights.poisson(np.ones(ROWS), 2000, seed=1))
    assert abs(counts.mean() - 1) < 5 / np.sqrt(counts.size)
    assert abs(counts.var() - 1) < 5 * np.sqrt(3 / counts.size)
