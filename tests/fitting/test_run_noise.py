"""Noise of single runs: told errors, repeats, trunks; and units that are left out."""

from __future__ import annotations

import numpy as np
import pytest

from surrogate.data.coordinates import Rows
from surrogate.fitting import clusters, freedom, run_noise
from surrogate.fitting.freedom import Parts
from surrogate.fitting.objective import Noise, Objective

NONE = np.zeros(0)


def rows_of(
    target: np.ndarray,
    x: np.ndarray,
    cell: np.ndarray | None = None,
    **more: np.ndarray | None,
) -> Rows:
    """Runs of one cell along lr."""
    cell = np.zeros(len(x), np.int64) if cell is None else cell
    scales = np.zeros((int(cell.max()) + 1, 0))
    return Rows(x[:, None], target, cell, scales, **more)


def test_repeats_give_their_own_variance_whatever_is_fitted() -> None:
    rng = np.random.default_rng(0)
    x = np.repeat(np.linspace(-1, 1, 40), 3)
    target = 5 * x + 0.003 * rng.normal(size=len(x))
    found = run_noise.of_repeats(rows_of(target, x), np.zeros(len(x)), 0.33)
    # 80 degrees of freedom, held at nothing with 2 more.
    assert found == pytest.approx(0.003**2, rel=0.3)
    alone = run_noise.of_repeats(rows_of(target[::3], x[::3]), np.zeros(40), 0.33)
    assert alone == 0.0


def test_repeats_far_from_the_optimum_count_as_far_runs_do() -> None:
    rng = np.random.default_rng(1)
    x, excess = np.repeat(np.arange(40.0), 3), np.full(120, 0.1)
    noise = float(Objective(growth=0.33).spread(excess)[0])
    target = noise * rng.normal(size=120)
    found = run_noise.of_repeats(rows_of(target, x), excess, 0.33)
    assert found == pytest.approx(0.001**2, rel=0.35)


def test_repeats_of_two_cells_are_none_of_one_setting() -> None:
    x, target = np.zeros(2), np.array([0.0, 1.0])
    two = rows_of(target, x, cell=np.arange(2))
    assert run_noise.of_repeats(two, np.zeros(2), 0.33) == 0.0


def test_what_was_told_of_a_run_is_part_of_its_variance_once() -> None:
    rng = np.random.default_rng(2)
    n = 4000
    x = np.linspace(-1, 1, n)
    error = np.where(np.arange(n) % 2, 0.01, 0.0)
    residual = np.sqrt(0.002**2 + error**2) * rng.normal(size=n)
    rows = rows_of(residual, x, error=error)
    found = run_noise.measure(rows, residual, np.zeros(n), np.zeros(n), 0.33)
    variance = found.variance(np.zeros(n))
    assert variance[0] == pytest.approx(0.002**2, rel=0.3)
    assert variance[1] == pytest.approx(0.002**2 + 0.01**2, rel=0.05)


def test_a_told_error_weighs_its_run_less() -> None:
    objective, zero, one = Objective(), np.zeros((1, 2)), np.ones((1, 2))
    found = objective.weights(zero, zero, one, np.array([0.0, 0.003]))
    # By hand: floor 0.001, so 1 / (1 + 9) of the other.
    assert found[0, 1] / found[0, 0] == pytest.approx(0.1)


@pytest.mark.parametrize(("share", "least", "most"), [(1.0, 0.8, 1.0), (0.0, 0.0, 0.2)])
def test_the_share_of_a_trunk_is_that_of_its_runs(
    share: float, least: float, most: float
) -> None:
    rng = np.random.default_rng(3)
    cluster = np.repeat(np.arange(60), 4)
    common = rng.normal(size=60)[cluster]
    residual = np.sqrt(share) * common + np.sqrt(1 - share) * rng.normal(size=240)
    ones = np.ones(240)
    found = run_noise.shared(cluster, residual, ones, 0 * ones)
    assert least <= found.share[0] <= most
    assert found.worth[0] == pytest.approx(1 / (1 + 3 * found.share[0]))


def test_runs_without_a_trunk_share_nothing() -> None:
    found = run_noise.shared(None, np.ones(3), np.ones(3), np.zeros(3))
    np.testing.assert_array_equal(found.share, 0)
    np.testing.assert_array_equal(found.worth, 1)
    mixed = run_noise.shared(np.array([0, 0, -1]), np.ones(3), np.ones(3), np.zeros(3))
    assert mixed.share[2] == 0 < mixed.share[0]


def units_of(cell: list[int], cluster: list[int] | None) -> clusters.Units:
    n = len(cell)
    told = None if cluster is None else np.array(cluster)
    return clusters.units(
        rows_of(np.zeros(n), np.zeros(n), cell=np.array(cell), cluster=told)
    )


def test_without_trunks_the_units_are_cells() -> None:
    for cluster in (None, [0, 0, -1, 1, 1, -1]):
        found = units_of([0, 0, 0, 1, 1, 1], cluster)
        assert found.freedom is None
        np.testing.assert_array_equal(found.kept.sum(axis=1), [3, 3])
        np.testing.assert_array_equal(found.cells, [[0, 1], [1, 0]])


def test_trunks_of_whole_cells_are_the_units() -> None:
    cell = np.repeat(np.arange(12), 2).tolist()
    trunk = np.where(np.array(cell) < 4, 0, np.where(np.array(cell) < 8, 1, -1))
    found = units_of(cell, trunk.tolist())
    # Two trunks and the four cells of none.
    assert len(found.kept) == 6
    assert found.freedom == 3
    np.testing.assert_array_equal(np.sort(found.kept.sum(axis=1)), [16, 16] + [22] * 4)


def test_trunks_across_cells_add_their_variance_to_that_of_cells() -> None:
    cell, cluster = np.divmod(np.arange(48), 4)
    found = units_of(cell.tolist(), cluster.tolist())
    assert len(found.kept) == 12 + 4
    # Of 4 trunks 1 degree of freedom is left: called 2.
    assert found.freedom == 2
    # A jackknife over all: (K - 1) / K times squares of steps that are lengthened.
    squares = 15 / 16 * found.reach**2
    np.testing.assert_allclose(squares[:12], 11 / 12)
    np.testing.assert_allclose(squares[12:], 3 / 4)


def parts(noise: float, form: float, known: float) -> Parts:
    one = np.ones(1)
    return Parts(0 * one, noise * one, form * one, known * one)


def test_freedom_is_that_of_welch_and_satterthwaite() -> None:
    # Closed form: (a + b)^2 / (a^2 / n) with b known; and no fewer than the noise has.
    assert parts(1.0, 0.0, 0.0).freedom(5) == 5
    assert parts(1.0, 0.0, 0.5).freedom(5) == int(1.5**2 * 5)
    assert parts(1.0, 1.0, 1.0).freedom(8) == int(9 / (1 / 8 + 1 / 4))
    # Small by chance, or known too little to be.
    assert parts(0.01, 0.0, 1.0).freedom(5) == 15
    assert parts(0.01, 0.0, 1.0).freedom(2) == 2
    assert parts(0.1, 1.0, 0.0).freedom(50) == 50
    assert parts(np.nan, 1.0, 0.0).freedom(7) == 7


def test_what_forms_differ_by_is_part_of_their_mean() -> None:
    zero = np.zeros(1)
    two = [Parts(np.array([at]), zero + 1.0, zero, zero) for at in (-1.0, 3.0)]
    half = np.array([0.5, 0.5])
    found = freedom.average(two, half, half)
    # By hand: the mean is 1, each is 2 from it.
    assert (found.best[0], found.noise[0], found.form[0]) == (1.0, 1.0, 4.0)


def test_a_fit_that_spends_all_runs_has_the_noise_of_released_sweeps() -> None:
    x = np.linspace(-1, 1, 5)
    rows = rows_of(0 * x, x)
    bare = Noise(cell=0.0, floor=0.0, growth=0.0)
    found = run_noise.of_plateau(bare, rows, np.zeros(5), 0.33, 1)
    assert found.floor == pytest.approx(0.001 * np.sqrt(2 / 3))
