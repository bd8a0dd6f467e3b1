"""The objective: weights by hand, and what they may depend on; noise recovered."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surrogate.fitting.objective import Noise, Objective, measure_noise

ROUNDING = 1e-12
SEEDS = st.integers(0, 2**32 - 1)
# Figures that are easy to square: sigma is 0.002 at excess 0 and 0.0052 at 0.016.
EASY = Objective(floor=0.002, growth=0.3, tail=4.0)


@partial(jax.jit, static_argnums=0)
def _weights(objective: Objective, residual: Any, excess: Any, counts: Any) -> Any:
    return objective.weights(residual, excess, counts)


def weights(objective: Objective, *arrays: Any) -> np.ndarray:
    """In float64 and NumPy; `counts` left out are ones."""
    given = [np.asarray(array, float) for array in arrays]
    given += [np.ones_like(given[0])] * (3 - len(given))
    with jax.enable_x64(True):
        return np.asarray(_weights(objective, *map(jnp.asarray, given)))


def draw_rows(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Residuals up to about 6 sigma, excesses, counts of 0 to 2, 12 rows kept."""
    rng = np.random.default_rng(seed)
    excess = rng.exponential(0.02, size=20)
    residual = rng.normal(size=20) * rng.uniform(0, 3, 20) * 0.33 * (excess + 0.003)
    counts = rng.permuted([1.0] * 8 + [2.0] * 4 + [0.0] * 8)
    return residual, excess, counts


# ---- weights --------------------------------------------------------------------


def test_weights_by_hand() -> None:
    # Closed form: |r / sigma| is 1, 0.5, 3 here, so k = 1.4826.
    excess = np.array([0.0, 0.016, 0.016])
    sigma = np.array([0.002, 0.0052, 0.0052])
    residual = sigma * [1.0, -0.5, 3.0]
    by_hand = 1 / sigma**2 / (1 + np.array([1, 0.25, 9]) / 1.4826**2 / 4)
    np.testing.assert_allclose(weights(EASY, residual, excess), by_hand, rtol=ROUNDING)


def test_scale_grows_above_one_and_never_shrinks_below() -> None:
    # Closed form: half a sigma of typical size leaves k at 1, 10 sigma gives 14.826.
    excess, sizes = np.zeros(5), np.array([0.8, 0.9, 1.0, 1.1, 1.2])
    for typical, scale in ((0.5, 1.0), (10.0, 14.826)):
        size = typical * sizes
        found = weights(EASY, 0.002 * size, excess)
        by_hand = 1 / 0.002**2 / (1 + (size / scale) ** 2 / 4)
        np.testing.assert_allclose(found, by_hand, rtol=ROUNDING)


def test_spikes_count_little_and_equal_either_way() -> None:
    residual = np.array([0.001, -0.001, 0.002, -0.002, 0.2, -0.2])
    found = weights(EASY, residual, np.zeros(6))
    assert found[4] == found[5]
    assert found[4] * 0.2 < found[2] * 0.002


@given(seed=SEEDS, lucky=st.floats(-0.3, 0.3))
def test_a_loss_enters_its_own_weight_through_its_residual_alone(
    seed: int, lucky: float
) -> None:
    # Closed form: the fitted excess fixed, no loss however low draws weight to its row.
    residual, excess, _ = draw_rows(seed)
    # Typical residuals of several sigma, so that the median of 20 counts.
    residual = 9 * residual
    residual[7] = lucky
    sigma = np.hypot(0.002, 0.3 * excess)
    size = np.abs(residual / sigma)
    scale = max(1.0, 1.4826 * float(np.median(size)))
    by_hand = 1 / sigma**2 / (1 + (size / scale) ** 2 / 4)
    found = weights(EASY, residual, excess)
    np.testing.assert_allclose(found, by_hand, rtol=ROUNDING)
    assert found[7] <= (1 + ROUNDING) / sigma[7] ** 2


@given(seed=SEEDS)
def test_rows_of_count_zero_have_no_weight_and_no_say(seed: int) -> None:
    # Property: exact zeros, and the others as if those rows were not there.
    residual, excess, counts = draw_rows(seed)
    found = weights(EASY, residual, excess, counts)
    kept = counts > 0
    assert (found[~kept] == 0).all()
    alone = weights(EASY, residual[kept], excess[kept], counts[kept])
    np.testing.assert_allclose(found[kept], alone, rtol=ROUNDING)


@given(seed=SEEDS)
def test_a_doubled_row_equals_a_count_of_two(seed: int) -> None:
    # Property; tolerance: rounding.
    residual, excess, counts = draw_rows(seed)
    found = weights(EASY, 9 * residual, excess, counts)
    often = np.repeat(np.arange(20), counts.astype(int))
    repeated = weights(EASY, 9 * residual[often], excess[often])
    np.testing.assert_allclose(found[often], counts[often] * repeated, rtol=ROUNDING)


def test_a_fit_that_failed_has_no_weights_and_spoils_no_other() -> None:
    residual, excess, counts = draw_rows(3)
    pair = np.stack([residual, np.full(20, np.nan)])
    with jax.enable_x64(True):
        both = jax.vmap(EASY.weights, (0, None, None))(
            *map(jnp.asarray, (pair, excess, counts))
        )
    alone = weights(EASY, residual, excess, counts)
    np.testing.assert_allclose(np.asarray(both)[0], alone, rtol=ROUNDING)
    assert np.isnan(np.asarray(both)[1][counts > 0]).all()


# ---- noise ----------------------------------------------------------------------

CELLS, RUNS = 400, 20


def simulate(
    noise: Noise, cells: int = CELLS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Half of each cell's runs near the optimum, half at excesses of 2 to 6 %."""
    rng = np.random.default_rng(4)
    cell = np.repeat(np.arange(cells), RUNS)
    is_near = np.arange(cell.size) % 2 == 0
    far = rng.uniform(0.02, 0.06, cell.size)
    excess = np.where(is_near, rng.uniform(0, 1e-4, cell.size), far)
    shared = rng.normal(0, noise.cell, cells)[cell]
    return shared + rng.normal(0, noise.within(excess)), excess, cell


@pytest.mark.parametrize(
    "noise",
    [
        Noise(cell=0.002, floor=0.001, growth=0.1),
        Noise(cell=0.002, floor=0.001, growth=0.03),
        Noise(cell=0.0008, floor=0.002, growth=0.1),
    ],
    ids=["as released", "floor above growth", "cells hardly differ"],
)
def test_noise_is_recovered(noise: Noise) -> None:
    # Statistical: a MAD of n values has relative standard error 1 / sqrt(0.74 n);
    # 4 of those, seed fixed. Subtracting another variance magnifies it.
    found = measure_noise(*simulate(noise))
    runs, total = CELLS * RUNS / 2, noise.cell**2 + 1.57 * noise.floor**2 / (RUNS / 2)
    assert found.floor == pytest.approx(noise.floor, rel=4 / np.sqrt(0.74 * runs))
    far = (noise.growth * 0.04) ** 2 + noise.floor**2
    magnified = far / (noise.growth * 0.04) ** 2
    bound = 4 * magnified / np.sqrt(0.74 * runs)
    assert found.growth == pytest.approx(noise.growth, rel=bound)
    bound = 4 * total / noise.cell**2 / np.sqrt(0.74 * CELLS)
    assert found.cell == pytest.approx(noise.cell, rel=bound)


def test_cells_that_share_nothing_show_little() -> None:
    # Statistical, seed fixed: the median of 10 runs has standard deviation 0.00074,
    # and nearly all of that must not be taken for a part that the cell shares.
    found = measure_noise(*simulate(Noise(0.0, 0.002, 0.1), cells=2500))
    assert found.cell < 0.0002


def test_spikes_hardly_move_the_noise() -> None:
    # Robust: with 3 % of runs 20 % too high a standard deviation would be 20 times up.
    residual, excess, cell = simulate(Noise(0.002, 0.001, 0.1))
    spiked = residual + 0.2 * (np.random.default_rng(5).random(cell.size) < 0.03)
    found, wanted = (
        measure_noise(spiked, excess, cell),
        measure_noise(residual, excess, cell),
    )
    np.testing.assert_allclose(found, wanted, rtol=0.12)


def test_noise_of_one_cell_has_no_shared_part() -> None:
    residual = np.array([0.001, -0.001, 0.002, -0.002])
    found = measure_noise(residual, np.zeros(4), np.zeros(4, int))
    # Closed form: median 0, absolute median 0.0015, 2.3 degrees of freedom in 4 spent.
    floor = 1.4826 * 0.0015 * np.sqrt(4 / 1.7)
    np.testing.assert_allclose(found, [0.0, floor, 0.0], rtol=ROUNDING)


def test_noise_where_no_run_is_near_is_read_off_the_nearer_half() -> None:
    noise = Noise(0.0, 0.003, 0.0)
    residual, excess, cell = simulate(noise)
    found = measure_noise(residual, excess + 0.5, cell)
    assert found.floor == pytest.approx(0.003, rel=0.06)


def test_noise_within_adds_squares() -> None:
    # Closed form.
    found = Noise(9.0, 0.003, 0.1).within(np.array([0.0, 0.04]))
    np.testing.assert_allclose(found, [0.003, 0.005], rtol=ROUNDING)
