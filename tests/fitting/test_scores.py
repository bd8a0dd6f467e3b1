"""Scores: the read-off against closed forms, the cubic against SciPy, known laws."""

from __future__ import annotations

import csv
import importlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import LinearNDInterpolator
from scipy.optimize import minimize
from scipy.stats import rankdata

from surrogate.base.errors import DataError
from surrogate.fitting.read_off import (
    _barycentric,
    _cubic_slopes,
    cubic,
    hull_of,
    is_inside,
    lowest_in_hull,
    on_triangle,
)
from surrogate.fitting.scores import (
    band,
    loss_errors,
    mean_se,
    read_off,
    regret,
    regret_smoothed,
    score_cell,
)

LR = 2.0 ** (np.arange(-22, -13) / 2)
BATCH = 2048.0 * np.array([32.0, 64.0, 96.0, 128.0, 192.0, 256.0, 352.0])
SHARE = st.floats(0.0, 1.0)


def _grid() -> tuple[np.ndarray, np.ndarray]:
    lr, batch = np.meshgrid(LR, BATCH, indexing="ij")
    return lr.ravel(), batch.ravel()


def _between(low: float, high: float, share: float) -> float:
    return float(low * (high / low) ** share)


def _plane(lr: Any, batch: Any) -> Any:
    return 3.0 + 0.21 * np.log(lr / 0.003) - 0.13 * np.log(batch / 3e5)


def _saddle(lr: Any, batch: Any) -> Any:
    """Bilinear in the logarithms, with a cross term that no plane has."""
    return _plane(lr, batch) + 0.07 * np.log(lr / 0.003) * np.log(batch / 3e5)


# ---- read_off -------------------------------------------------------------------


@given(a=SHARE, b=SHARE)
def test_full_grid_reads_a_bilinear_function_exactly(a: float, b: float) -> None:
    # Closed form; tolerance: rounding.
    lr, batch = _grid()
    at = _between(LR[0], LR[-1], a), _between(BATCH[0], BATCH[-1], b)
    loss, outside = read_off(lr, batch, _saddle(lr, batch), *at)
    assert loss == pytest.approx(_saddle(*at), rel=1e-9)
    assert not outside


def test_one_rectangle_by_hand() -> None:
    lr, batch = np.array([1e-3, 1e-3, 4e-3, 4e-3]), np.array([1e5, 4e5, 1e5, 4e5])
    loss = np.array([2.0, 3.0, 5.0, 11.0])
    # A quarter of the way in ln lr, half way in ln batch.
    at = 1e-3 * 4**0.25, 2e5
    by_hand = 0.75 * 0.5 * (2.0 + 3.0) + 0.25 * 0.5 * (5.0 + 11.0)
    assert read_off(lr, batch, loss, *at) == (pytest.approx(by_hand, rel=1e-14), False)


@given(row=st.integers(0, LR.size * BATCH.size - 1))
def test_a_run_of_the_grid_is_read_as_measured(row: int) -> None:
    lr, batch = _grid()
    loss = np.random.default_rng(5).uniform(2.0, 3.0, lr.size)
    read = read_off(lr, batch, loss, lr[row], batch[row])
    assert read == (loss[row], False)


def test_a_grid_line_needs_only_its_own_two_runs() -> None:
    lr, batch = _grid()
    loss = np.random.default_rng(6).uniform(2.0, 3.0, lr.size)
    keep = (lr == LR[3]) | (batch == BATCH[0]) | (batch == BATCH[-1])
    at = math.sqrt(BATCH[2] * BATCH[3])
    ends = [loss[(lr == LR[3]) & (batch == b)][0] for b in BATCH[2:4]]
    read = read_off(lr[keep], batch[keep], loss[keep], LR[3], at)
    assert read == (pytest.approx(np.mean(ends), rel=1e-12), False)


def test_a_missing_corner_is_read_on_the_triangle() -> None:
    # Independent: barycentric weights of the three remaining corners by solving 3 x 3.
    lr, batch = _grid()
    loss = np.random.default_rng(7).uniform(2.0, 3.0, lr.size)
    gone = (lr == LR[4]) & (batch == BATCH[4])
    at = _between(LR[3], LR[4], 0.3), _between(BATCH[3], BATCH[4], 0.25)
    corners = [(LR[3], BATCH[3]), (LR[4], BATCH[3]), (LR[3], BATCH[4])]
    matrix = np.array([[1.0, math.log(x), math.log(y)] for x, y in corners]).T
    weights = np.linalg.solve(matrix, [1.0, math.log(at[0]), math.log(at[1])])
    values = [loss[(lr == x) & (batch == y)][0] for x, y in corners]
    read = read_off(lr[~gone], batch[~gone], loss[~gone], *at)
    assert read == (pytest.approx(weights @ values, rel=1e-10), False)
    assert read.loss != pytest.approx(read_off(lr, batch, loss, *at).loss, rel=1e-4)


@given(a=SHARE, b=SHARE, seed=st.integers(0, 20))
@settings(max_examples=50)
def test_a_plane_survives_missing_corners(a: float, b: float, seed: int) -> None:
    lr, batch = _grid()
    is_corner = np.isin(lr, LR[[0, -1]]) & np.isin(batch, BATCH[[0, -1]])
    keep = (np.random.default_rng(seed).random(lr.size) > 0.3) | is_corner
    lr, batch = lr[keep], batch[keep]
    at = _between(LR[0], LR[-1], a), _between(BATCH[0], BATCH[-1], b)
    loss, outside = read_off(lr, batch, _plane(lr, batch), *at)
    assert loss == pytest.approx(_plane(*at), rel=1e-8)
    assert not outside


def test_scattered_runs_are_read_on_triangles() -> None:
    rng = np.random.default_rng(8)
    lr, batch = np.exp(rng.uniform(-8, -5, 40)), np.exp(rng.uniform(11, 14, 40))
    at = math.exp(-6.4), math.exp(12.6)
    read = read_off(lr, batch, _plane(lr, batch), *at)
    assert read == (pytest.approx(_plane(*at), rel=1e-10), False)


@given(lr=SHARE, batch=SHARE, seed=st.integers(0, 50))
def test_triangles_are_read_as_scipy_does(lr: float, batch: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    places, loss = rng.normal(size=(15, 2)), rng.normal(size=15)
    at = 1.5 * np.array([2 * lr - 1, 2 * batch - 1])
    known = float(LinearNDInterpolator(places, loss)(at)[0])
    found = on_triangle(places, loss, at)
    assert found == (None if np.isnan(known) else pytest.approx(known, abs=1e-9))


def test_flat_triangles_are_not_read() -> None:
    """Closed form; points on a line are no triangle."""
    flat = np.array([[[-1.0, 0.0], [1.0, 0.0], [3.0, 0.0]]])
    assert np.isneginf(_barycentric(flat)).all()
    sound = np.array([[[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]])
    assert _barycentric(sound).tolist() == [[0.5, 0.5, 0.0]]


@pytest.mark.parametrize(
    ("at", "nearest"),
    [
        ((LR[-1] * 1.5, BATCH[2] * 1.01), (LR[-1], BATCH[2])),
        ((LR[2] * 0.99, BATCH[0] / 3), (LR[2], BATCH[0])),
        ((LR[0] / 2, BATCH[-1] * 2), (LR[0], BATCH[-1])),
    ],
)
def test_outside_the_box_is_the_nearest_run(
    at: tuple[float, float], nearest: tuple[float, float]
) -> None:
    lr, batch = _grid()
    loss, outside = read_off(lr, batch, _saddle(lr, batch), *at)
    assert loss == _saddle(*nearest)
    assert outside


def test_beyond_a_missing_grid_corner_is_outside() -> None:
    lr, batch = _grid()
    keep = ~((lr == LR[-1]) & (batch == BATCH[-1]))
    at = _between(LR[-2], LR[-1], 0.9), _between(BATCH[-2], BATCH[-1], 0.8)
    loss, outside = read_off(lr[keep], batch[keep], _saddle(lr, batch)[keep], *at)
    assert loss == _saddle(LR[-1], BATCH[-2])
    assert outside


@pytest.mark.parametrize("swap", [False, True])
def test_a_cell_of_one_level_is_read_along_its_line(swap: bool) -> None:
    one, many = np.full(3, 2e-3), np.array([1e5, 2e5, 8e5])
    loss = np.array([3.0, 2.0, 4.0])

    def read(at_one: float, at_many: float) -> tuple[float, bool]:
        if swap:
            return read_off(many, one, loss, at_many, at_one)
        return read_off(one, many, loss, at_one, at_many)

    assert read(2e-3, 4e5) == (pytest.approx(3.0, rel=1e-12), False)
    assert read(2e-3, 9e5) == (4.0, True)
    assert read(2.2e-3, 2.1e5) == (2.0, True)


def test_collinear_runs_are_read_along_their_line() -> None:
    batch = np.array([1e5, 2e5, 8e5])
    lr, loss = 1e-3 * np.sqrt(batch / 1e5), np.array([3.0, 2.0, 4.0])
    on_line = read_off(lr, batch, loss, 1e-3 * 2.0, 4e5)
    assert on_line == (pytest.approx(3.0, rel=1e-9), False)
    assert read_off(lr, batch, loss, 1e-3 * 2.1, 4e5).outside_grid
    assert read_off(lr, batch, loss, 1e-3 * 3.0, 9e5) == (4.0, True)


def test_a_single_run_is_outside_everywhere_but_at_itself() -> None:
    one = np.array([2e-3]), np.array([1e5]), np.array([2.5])
    assert read_off(*one, 2e-3, 1e5) == (2.5, False)
    assert read_off(*one, 2e-3, 2e5) == (2.5, True)
    assert read_off(*one, 1e-3, 1e5) == (2.5, True)


def test_repeated_runs_count_as_their_mean() -> None:
    lr, batch = _grid()
    twice = np.concatenate([lr, lr[:1]]), np.concatenate([batch, batch[:1]])
    loss = np.concatenate([np.full(lr.size, 2.0), [3.0]])
    assert read_off(*twice, loss, lr[0], batch[0]).loss == 2.5
    # The cell's lowest loss stays a single run's.
    assert regret(*twice, loss, lr[0], batch[0]).regret == 0.25


def test_a_run_that_blew_up_is_charged_and_one_without_a_loss_is_missing() -> None:
    lr, batch = _grid()
    loss = _plane(lr, batch)
    row = (lr == LR[4]) & (batch == BATCH[4])
    at = _between(LR[3], LR[4], 0.25), BATCH[4]
    expected = 0.75 * _plane(LR[3], BATCH[4]) + 0.25 * 11.0
    charged = read_off(lr, batch, np.where(row, 11.0, loss), *at)
    assert charged == (pytest.approx(expected, rel=1e-12), False)
    for missing in (math.nan, math.inf):
        read = read_off(lr, batch, np.where(row, missing, loss), *at)
        assert read == (pytest.approx(_plane(*at), rel=1e-9), False)


@given(a=st.floats(-0.3, 1.3), b=st.floats(-0.3, 1.3), seed=st.integers(0, 30))
@settings(max_examples=60)
def test_row_order_units_and_range(a: float, b: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    lr, batch = _grid()
    keep = rng.random(lr.size) > 0.1
    lr, batch = lr[keep], batch[keep]
    loss = rng.uniform(2.0, 3.0, lr.size)
    at = _between(LR[0], LR[-1], a), _between(BATCH[0], BATCH[-1], b)
    read = regret(lr, batch, loss, *at)
    order = rng.permutation(lr.size)
    assert regret(lr[order], batch[order], loss[order], *at) == read
    assert 0.0 <= read.regret <= loss.max() / loss.min() - 1.0 + 1e-12
    in_sequences = regret(lr, batch / 2048.0, loss, at[0], at[1] / 2048.0)
    assert in_sequences.regret == pytest.approx(read.regret, rel=1e-9, abs=1e-12)
    assert in_sequences.outside_grid == read.outside_grid


# ---- the cubic ------------------------------------------------------------------


def _bowl(lr: Any, batch: Any) -> Any:
    """Of ln loss: a convex cubic over the grid, its minimum ln 2.3 at one setting."""
    x, y = np.log(lr / 2e-3), np.log(batch / 2.5e5)
    return math.log(2.3) + 6e-3 * (x**2 + 0.8 * y**2 - 0.9 * x * y + 0.1 * x**3)


def test_smoothed_regret_of_a_known_cubic() -> None:
    # Closed form; tolerance: least squares on a design of condition 1e2 or so.
    lr, batch = _grid()
    loss = np.exp(_bowl(lr, batch))
    read = regret_smoothed(lr, batch, loss, 2.6e-3, 1.9e5)
    expected = _bowl(2.6e-3, 1.9e5) - math.log(2.3)
    assert read.regret == pytest.approx(expected, abs=1e-11)
    assert read.runs == np.sum(loss <= 1.015 * loss.min()) < loss.size
    assert read.outside_hull is False
    at_best = regret_smoothed(lr, batch, loss, 2e-3, 2.5e5)
    assert at_best.regret == pytest.approx(0.0, abs=1e-11)


def test_smoothed_regret_when_the_minimum_is_on_the_hull() -> None:
    lr, batch = _grid()
    loss = np.exp(1.0 + 1e-3 * np.log(lr / LR[0]) - 2e-3 * np.log(batch / BATCH[-1]))
    at = LR[4], BATCH[3]
    expected = 1e-3 * math.log(LR[4] / LR[0]) - 2e-3 * math.log(BATCH[3] / BATCH[-1])
    assert regret_smoothed(lr, batch, loss, *at).regret == pytest.approx(
        expected, abs=1e-11
    )


def test_smoothed_regret_uses_only_runs_near_the_best() -> None:
    lr, batch = _grid()
    loss = np.exp(_bowl(lr, batch))
    far = loss > 1.015 * loss.min()
    assert far.any()
    loss_far = np.where(far, 11.0, loss)
    loss_far[np.flatnonzero(far)[0]] = math.nan
    at = 2.6e-3, 1.9e5
    assert regret_smoothed(lr, batch, loss_far, *at) == regret_smoothed(
        lr, batch, loss, *at
    )


def test_smoothed_regret_beyond_its_runs_says_so() -> None:
    lr, batch = _grid()
    read = regret_smoothed(lr, batch, np.exp(_bowl(lr, batch)), 2e-3, 1e7)
    assert read.outside_hull is True
    assert read.regret is not None


def test_smoothed_regret_needs_fourteen_runs_that_tell_a_cubic() -> None:
    lr, batch = _grid()
    flat = np.full(lr.size, 2.0)
    # Rows that spread over the grid, so that even 13 of them determine a cubic.
    some = np.random.default_rng(12).permutation(lr.size)[:14]
    at = 2e-3, 1e5
    enough = regret_smoothed(lr[some], batch[some], flat[some], *at)
    assert (enough.regret, enough.runs) == (pytest.approx(0.0, abs=1e-12), 14)
    few = some[:13]
    assert regret_smoothed(lr[few], batch[few], flat[few], *at) == (None, 13, None)
    three = np.isin(lr, LR[:3])
    assert three.sum() >= 14
    rough = flat * np.random.default_rng(9).uniform(1.0, 1.01, lr.size)
    assert regret_smoothed(lr[three], batch[three], rough[three], *at).regret is None
    one = np.full(20, 1e-3), np.geomspace(1e5, 1e6, 20), np.full(20, 2.0)
    assert regret_smoothed(*one, *at) == (None, 20, None)
    nothing = np.full(lr.size, math.nan)
    assert regret_smoothed(lr, batch, nothing, *at) == (None, 0, None)


@pytest.mark.parametrize("seed", range(12))
def test_minimum_in_the_hull_against_scipy(seed: int) -> None:
    # Independent code: SLSQP from 25 starts. Tolerance: it may leave the hull by its
    # own 1e-9, where slopes reach 1e2. Odd seeds have their minimum inside.
    rng = np.random.default_rng(seed)
    corners, edges = hull_of(rng.normal(size=(15, 2)))
    theta = rng.normal(size=10)
    if seed % 2:
        theta[[2, 7]] = 1.0 + abs(theta[[2, 7]])
        theta[[1, 3, 4, 5, 6, 8, 9]] *= 0.2
    found = lowest_in_hull(theta, corners, edges)
    limits = {"type": "ineq", "fun": lambda z: -(edges[:, :2] @ z + edges[:, 2])}
    starts = rng.dirichlet(np.ones(len(corners)), size=25) @ corners
    runs = [
        minimize(
            lambda z: float(cubic(theta, z)),
            start,
            method="SLSQP",
            constraints=[limits],
            options={"ftol": 1e-14, "maxiter": 200},
        )
        for start in starts
    ]
    best = min((run for run in runs if is_inside(edges, run.x)), key=lambda r: r.fun)
    assert found == pytest.approx(float(best.fun), abs=1e-7)
    if seed % 2:
        assert np.all(edges[:, :2] @ best.x + edges[:, 2] < -0.01)


def test_slopes_against_central_differences() -> None:
    # Derivative; tolerance: eps^(2/3), and eps^(1/2) for second differences.
    theta = np.random.default_rng(13).normal(size=10)
    z, step = np.array([0.37, -0.81]), 6e-6

    def gradient(at: np.ndarray, h: float) -> np.ndarray:
        return np.array(
            [
                (cubic(theta, at + h * e) - cubic(theta, at - h * e)) / (2 * h)
                for e in np.eye(2)
            ]
        )

    slopes = _cubic_slopes(theta, z)
    np.testing.assert_allclose(slopes[:2], gradient(z, step), rtol=1e-8)
    h = 1e-3
    rows = [
        (gradient(z + h * e, h) - gradient(z - h * e, h)) / (2 * h) for e in np.eye(2)
    ]
    np.testing.assert_allclose(slopes[2:], [rows[0][0], rows[0][1], rows[1][1]], 1e-8)


def test_interior_minimum_between_grid_points() -> None:
    # z0^2 + 2 (z1 - a)^2 - 5, lowest off every grid point; closed form.
    a = 0.123456789
    theta = np.array([-5.0 + 2 * a * a, -4 * a, 2.0, 0, 0, 0, 0, 1.0, 0, 0])
    square = np.array([[-1.0, -0.9], [1.1, -0.9], [1.1, 1.2], [-1.0, 1.2]])
    corners, edges = hull_of(square)
    assert lowest_in_hull(theta, corners, edges) == pytest.approx(-5.0, abs=1e-14)


# ---- one cell, many cells -------------------------------------------------------


def test_score_cell_joins_the_scores() -> None:
    lr, batch = _grid()
    loss = np.exp(_bowl(lr, batch))
    at = 2.6e-3, 1.9e5
    row = score_cell(lr, batch, loss, *at)
    best = int(loss.argmin())
    assert row == {
        "runs": lr.size,
        "lr": at[0],
        "batch": at[1],
        "best_lr": lr[best],
        "best_batch": batch[best],
        "regret": regret(lr, batch, loss, *at).regret,
        "regret_smoothed": regret_smoothed(lr, batch, loss, *at).regret,
        "outside_grid": False,
        "outside_hull": False,
    }
    assert score_cell(lr, batch, loss, 1.0, 1e5)["outside_grid"] is True


@pytest.mark.parametrize("losses", [[2.5], [2.5, math.nan]])
def test_a_cell_of_one_loss_has_no_regret(losses: list[float]) -> None:
    n = len(losses)
    columns = np.array([1e-3, 2e-3])[:n], np.array([1e5, 2e5])[:n], np.array(losses)
    row = score_cell(*columns, 1e-3, 1e5)
    assert row["runs"] == n
    assert (row["best_lr"], row["best_batch"]) == (1e-3, 1e5)
    assert row["regret"] is None
    assert row["regret_smoothed"] is None
    assert row["outside_grid"] is None


def test_a_cell_without_a_loss_has_no_best() -> None:
    row = score_cell(np.array([1e-3]), np.array([1e5]), np.array([math.nan]), 1e-3, 1e5)
    assert row["best_lr"] is None
    assert row["regret"] is None


def test_mean_se() -> None:
    spread = mean_se([1.0, None, 2.0, 6.0])
    assert spread == {
        "mean": 3.0,
        "median": 2.0,
        "max": 6.0,
        "se": pytest.approx(math.sqrt(7.0 / 3.0), rel=1e-14),
    }
    assert mean_se([4.0])["se"] is None
    assert mean_se([4.0])["mean"] == 4.0
    assert set(mean_se([None]).values()) == {None}
    with pytest.raises(DataError, match="finite scores"):
        mean_se([1.0, math.nan])


# ---- losses and bands -----------------------------------------------------------


def test_loss_errors_against_numpy_and_scipy() -> None:
    rng = np.random.default_rng(10)
    measured = rng.integers(20, 26, 50) / 10.0
    predicted = measured + rng.integers(-3, 5, 50) / 10.0
    got = loss_errors(predicted, measured)
    error = predicted - measured
    ratio = np.mean(error**2) / measured.var()
    assert got["r2"] == pytest.approx(1.0 - ratio, rel=1e-12)
    assert got["mae"] == pytest.approx(sum(abs(error)) / 50, rel=1e-12)
    assert got["rmse"] == pytest.approx(math.sqrt(error @ error / 50), rel=1e-12)
    assert got["bias"] == pytest.approx(sum(predicted) / 50 - sum(measured) / 50)
    ranks = rankdata(predicted), rankdata(measured)
    assert got["spearman"] == pytest.approx(np.corrcoef(*ranks)[0, 1], rel=1e-12)


def test_loss_errors_of_constant_losses_are_unknown() -> None:
    got = loss_errors(np.array([2.0, 3.0]), np.array([2.1, 2.1]))
    assert got["r2"] is None
    assert got["spearman"] is None
    assert got["mae"] == pytest.approx(0.5)
    varied = loss_errors(np.array([2.0, 2.0]), np.array([2.0, 3.0]))
    assert varied["spearman"] is None
    assert varied["r2"] == pytest.approx(-1.0)


def test_band_by_hand() -> None:
    # Lowest 2.0 in one cell, 3.0 in the other; edges 2.0066 and 3.0099 at 0.25 %.
    loss = np.array([2.0, 2.0065, 2.0067, 3.0, 3.0098, 3.02])
    best = np.array([2.0, 2.0, 2.0, 3.0, 3.0, 3.0])
    said = np.array([True, True, True, False, False, True])
    got = band(said, loss, best, 0.0025)
    assert got == {"tol": 0.0025, "precision": 0.5, "recall": 0.5}
    assert band(~said, loss, best, 0.0025)["precision"] == 1.0
    wide = band(said, loss, best, 0.01)
    assert wide == {"tol": 0.01, "precision": 1.0, "recall": pytest.approx(4 / 6)}
    assert band(said & False, loss, best, 0.0025)["precision"] is None
    none = np.array([], dtype=np.float64)
    assert band(none > 0, none, none, 0.0025)["recall"] is None


# ---- asked wrongly --------------------------------------------------------------

ONE, TWO = np.array([1.0]), np.array([1.0, 2.0])
BAD: dict[str, tuple[Callable[[], object], str]] = {
    "lengths": (lambda: read_off(TWO, ONE, TWO, 1.0, 1.0), "one length.*'batch': 1"),
    "lr": (lambda: regret(-TWO, TWO, TWO, 1.0, 1.0), "positive lr.*-1.0 in row 0"),
    "batch": (lambda: regret(TWO, TWO * math.nan, TWO, 1.0, 1.0), "positive batch"),
    "loss": (
        lambda: regret_smoothed(TWO, TWO, TWO - 2.0, 1.0, 1.0),
        "positive loss.*-1.0 in row 0",
    ),
    "at_lr": (lambda: read_off(TWO, TWO, TWO, math.nan, 1.0), "to score, got lr nan"),
    "at_batch": (lambda: score_cell(TWO, TWO, TWO, 1.0, 0.0), "and batch 0.0"),
    "nothing": (
        lambda: read_off(TWO, TWO, TWO * math.nan, 1.0, 1.0),
        "at least one run with a finite loss.*none of 2",
    ),
    "no runs": (lambda: loss_errors(ONE[:0], ONE[:0]), "at least one run"),
    "uneven": (lambda: loss_errors(ONE, TWO), "one length"),
    "diverged": (lambda: loss_errors(TWO, TWO / 0.5 * math.inf), "measured inf in row"),
    "tol": (lambda: band(TWO > 1, TWO, TWO, 0.0), "positive tolerance.*got 0.0"),
    "below": (lambda: band(TWO > 1, TWO, TWO + 1, 0.01), "not below its cell's lowest"),
    "band": (lambda: band(TWO > 1, ONE, TWO, 0.01), "one length"),
}


@pytest.mark.parametrize("case", BAD)
def test_asked_wrongly(case: str) -> None:
    call, message = BAD[case]
    with pytest.raises(DataError, match=message):
        call()


# ---- the released dense sweep ---------------------------------------------------


BASELINES: Any = importlib.import_module("heldout.baselines")
Proposal = Callable[[int, float, float], tuple[float, float]]


class _Dense:
    """The dense dump read by hand: levels 2^(k/2), batch in tokens, cells by (N, D)."""

    def __init__(self, folder: Path) -> None:
        with (folder / "steplaw" / "dense_lr_bs_loss.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        lr = np.array([float(row["lr"]) for row in rows])
        self.stored_lr = lr
        self.lr = 2.0 ** (np.round(2 * np.log2(lr)) / 2)
        self.batch = np.array([float(row["bs"]) * 2048 for row in rows])
        self.loss = np.array([float(row["smooth loss"]) for row in rows])
        self.s = np.array([[float(row["N"]), float(row["D"])] for row in rows])
        self.cells, cell = np.unique(self.s, axis=0, return_inverse=True)
        self.cell = cell.reshape(-1)
        self.x = np.log(np.column_stack([self.lr, self.batch, self.s]))

    def score(self, propose: Proposal) -> tuple[float, float]:
        """Mean regret and mean smoothed regret [permille] of proposals per cell."""
        rows = []
        for k, (n, d) in enumerate(self.cells):
            own = self.cell == k
            columns = self.lr[own], self.batch[own], self.loss[own]
            rows.append(score_cell(*columns, *propose(k, float(n), float(d))))
        assert not any(row["outside_grid"] or row["outside_hull"] for row in rows)
        raw = mean_se([row["regret"] for row in rows])["mean"]
        smooth = mean_se([row["regret_smoothed"] for row in rows])["mean"]
        assert raw is not None
        assert smooth is not None
        return 1e3 * raw, 1e3 * smooth


@pytest.fixture(scope="module")
def dense(data_dir: Path) -> _Dense:
    return _Dense(data_dir)


def _step_law(_: int, n: float, d: float) -> tuple[float, float]:
    return 1.79 * n**-0.713 * d**0.307, 0.58 * d**0.571


def _deepseek(_: int, n: float, d: float) -> tuple[float, float]:
    c = 6.0 * n * d
    return 0.3118 * c**-0.125, 0.2920 * c**0.3271


def test_dense_sweep_has_seventeen_cells(dense: _Dense) -> None:
    assert len(dense.cells) == 17
    assert len(np.unique(dense.lr)) == 14


@pytest.mark.parametrize(
    ("law", "raw", "smooth"),
    [(_step_law, 1.228, 0.333), (_deepseek, 8.30, 7.81)],
    ids=["step law", "deepseek"],
)
def test_published_laws_on_the_dense_sweep(
    dense: _Dense, law: Proposal, raw: float, smooth: float
) -> None:
    # Known figures (issue 6); tolerance: half their last digit.
    assert dense.score(law) == (
        pytest.approx(raw, abs=0.005),
        pytest.approx(smooth, abs=0.005),
    )


@pytest.mark.parametrize(
    ("within", "raw", "smooth"), [(0.005, 0.83, 0.30), (0.02, 1.70, 0.69)]
)
def test_ols_leaving_one_cell_out(
    dense: _Dense, within: float, raw: float, smooth: float
) -> None:
    # Known figures (issue 2); tolerance: half their last digit.
    near = BASELINES.near_best(dense.loss, dense.cell, within)
    wide = np.log(4.0)
    box = dense.x[:, :2].min(axis=0) - wide, dense.x[:, :2].max(axis=0) + wide

    def propose(k: int, n: float, d: float) -> tuple[float, float]:
        fold = near & (dense.cell != k)
        fit = BASELINES.Ols15(dense.x[fold], np.log(dense.loss[fold]))
        lr, batch = np.exp(fit.argmin(np.log([n, d]), *box))
        return float(lr), float(batch)

    assert dense.score(propose) == (
        pytest.approx(raw, abs=0.006),
        pytest.approx(smooth, abs=0.006),
    )


@pytest.mark.parametrize(
    ("is_params_in_batch", "raw", "smooth"),
    [(False, 1.04, 0.35), (True, 0.84, 0.18)],
)
def test_step_law_recipe_leaving_one_cell_out(
    dense: _Dense, is_params_in_batch: bool, raw: float, smooth: float
) -> None:
    near = BASELINES.near_best(dense.loss, dense.cell, 0.0025)

    def propose(k: int, n: float, d: float) -> tuple[float, float]:
        fold = near & (dense.cell != k)
        law = BASELINES.step_law_recipe(
            dense.lr[fold],
            dense.batch[fold],
            *dense.s[fold].T,
            is_params_in_batch=is_params_in_batch,
        )
        return law(n, d)

    assert dense.score(propose) == (
        pytest.approx(raw, abs=0.006),
        pytest.approx(smooth, abs=0.006),
    )


def test_step_law_recipe_on_the_whole_dense_sweep(dense: _Dense) -> None:
    # Known: 77.7 N^-0.766 D^0.197 and 0.209 D^0.613 (issue 6), from the rates as the
    # file stores them: snapped to their levels they give 77.4.
    near = BASELINES.near_best(dense.loss, dense.cell, 0.0025)
    law = BASELINES.step_law_recipe(
        dense.stored_lr[near], dense.batch[near], *dense.s[near].T
    )
    (lr, batch), (lr_n, _), (lr_d, batch_d) = (
        law(1.0, 1.0),
        law(2.0, 1.0),
        law(1.0, 2.0),
    )
    assert lr == pytest.approx(77.7, abs=0.05)
    assert batch == pytest.approx(0.209, abs=5e-4)
    assert math.log2(lr_n / lr) == pytest.approx(-0.766, abs=5e-4)
    assert math.log2(lr_d / lr) == pytest.approx(0.197, abs=5e-4)
    assert math.log2(batch_d / batch) == pytest.approx(0.613, abs=5e-4)


def test_ols_argmin_against_a_fine_grid() -> None:
    # Independent: the fitted function on a 201 x 201 grid of the box, for a bowl with
    # its optimum inside and one with it outside; tolerance: one grid step.
    rng = np.random.default_rng(11)
    x = rng.uniform([-8.0, 11.0, 19.0, 22.0], [-4.0, 15.0, 21.0, 25.0], (300, 4))
    shift = np.array([-6.2, 12.9])
    v = x[:, :2] - shift - 0.3 * (x[:, 2:] - [20.0, 23.5])
    log_loss = (
        1.0 + 0.02 * v[:, 0] ** 2 + 0.01 * v[:, 1] ** 2 + 0.01 * v[:, 0] * v[:, 1]
    )
    fit = BASELINES.Ols15(x, log_loss)
    s = np.array([20.5, 24.1])
    exact = shift + 0.3 * (s - [20.0, 23.5])
    inside = fit.argmin(s, np.array([-8.0, 11.0]), np.array([-4.0, 15.0]))
    np.testing.assert_allclose(inside, exact, atol=1e-9)
    low, high = np.array([-8.0, 13.5]), np.array([-4.0, 15.0])
    edge = fit.argmin(s, low, high)
    axes = [np.linspace(low[k], high[k], 201) for k in (0, 1)]
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    value = fit.log_loss(np.concatenate([grid, np.tile(s, (len(grid), 1))], axis=1))
    np.testing.assert_allclose(edge, grid[value.argmin()], atol=0.02)
