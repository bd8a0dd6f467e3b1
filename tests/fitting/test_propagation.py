"""Steps of a fit of few cells against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from surrogate.data.coordinates import Rows
from surrogate.families import Bowl, Family, Mix, Quadratic, Shape, forms
from surrogate.fitting import few_cells, intervals, irls, propagation
from surrogate.fitting.halves import shift
from surrogate.fitting.propagation import CELL_DRIFT, propagate
from surrogate.fitting.replicates import Fitted

ONE = np.ones(1)


def one_cell(count: int = 40, noise: float = 0.002) -> Rows:
    """A parabola of lr at one size, runs near its optimum."""
    rng = np.random.default_rng(3)
    x = np.linspace(-1, 1, count)
    target = 0.01 * (x - 0.2) ** 2 + noise * rng.normal(size=count)
    cell = np.zeros(count, np.int64)
    return Rows(x[:, None], target, cell, np.zeros((1, 0)))


def sweep(cells: int = 4, noise: float = 0.002) -> Rows:
    """Grids of lr and batch at some sizes, from a bowl or parabola."""
    rng = np.random.default_rng(7)
    s = np.linspace(-1, 1, cells)[:, None]
    axis = np.linspace(-1.5, 1.5, 4)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    z = np.concatenate(
        [np.column_stack([grid, np.tile(row, (len(grid), 1))]) for row in s]
    )
    u = z[:, :2] - z[:, 2:] * [0.3, 0.1]
    target = -0.1 * z[:, 2] + u**2 @ np.array([0.015, 0.01])
    target += noise * rng.normal(size=len(z))
    return Rows(z, target, np.repeat(np.arange(cells), len(grid)), s)


def fitted(family: Family, rows: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Theta, weights and the box."""
    choices = family.shape.choices
    box = np.array([[-2.0] * choices, [2.0] * choices])
    full = irls.estimate(family, rows, np.ones((1, len(rows.target))), box)
    return full.solution.theta[0], full.weights[0], box


def covariance(leaves: np.ndarray, theta: np.ndarray, count: int) -> np.ndarray:
    """What `uncertainty.standard_error` makes of some of so many leaves."""
    off = leaves - theta
    return (count - 1) / count * off.T @ off


def test_noise_of_runs_gives_the_covariance_of_weighted_least_squares() -> None:
    family, rows = Quadratic(Shape(1, 0, 0)), one_cell(400)
    theta, weights, box = fitted(family, rows)
    found = propagate(family, rows, weights, theta, box, ONE)
    n = len(rows.target)
    x = rows.z[:, 0]
    columns = np.stack([np.ones(n), x, x**2], axis=1)
    hessian = columns.T @ (weights[:, None] * columns) + np.diag(family.prior.precision)
    gain = np.linalg.solve(hessian, (weights[:, None] * columns).T)
    residual = rows.target - columns @ theta
    leverage = np.einsum("np,pn->n", columns, gain)
    # Of normal noise, some lies beyond what counts as an outlier.
    assert n - 10 < found.spare <= int(n - leverage.sum() + 1e-9)
    got = covariance(found.leaves[:n], theta, len(found.leaves))
    # Noise is the same everywhere: of the variance function only the floor is there.
    variance = float(residual @ residual) / (n - leverage.sum())
    np.testing.assert_allclose(
        np.diag(got), variance * np.diag(gain @ gain.T), rtol=0.3
    )
    one = found.leaves[:n] - theta
    np.testing.assert_allclose(
        one / np.linalg.norm(one, axis=1, keepdims=True),
        (gain / np.linalg.norm(gain, axis=0)).T,
        atol=1e-6,
    )


def test_a_family_with_offsets_of_cells_moves_as_its_refit_does() -> None:
    """Independent: one target moved a little, and fitted again under equal weights."""
    family = Bowl(Shape(2, 1, 0))
    rows = sweep(noise=0.0005)
    theta, weights, _ = fitted(family, rows)
    wide = irls.Wide.of(family, rows, np.ones((1, len(rows.cell_s))))
    begin = irls._go_on(wide, weights[None], theta[None], 400, "numpy").theta
    member = np.eye(len(rows.cell_s))[rows.cell]
    line = propagation._linearise(family, rows, weights, theta, member)
    for run in (5, 22):
        moved = rows.target.copy()
        moved[run] += 1e-5
        again = wide._replace(rows=wide.rows._replace(target=moved))
        end = irls._go_on(again, weights[None], begin, 400, "numpy").theta[0]
        step = line.place((line.v + 1e-5 * line.gain[:, run])[None])[0]
        thetas = np.stack([begin[0], end, theta, step])
        values = forms.log_losses(family, thetas[:, None], rows.z)
        refit, found = values[1] - values[0], values[3] - values[2]
        off = np.linalg.norm(refit - found) / np.linalg.norm(refit)
        assert off < 0.02, (run, off)


def test_cells_drift_moves_the_optimum_of_one_cell_by_as_much() -> None:
    family, rows = Quadratic(Shape(1, 0, 0)), one_cell(noise=0.0005)
    theta, weights, box = fitted(family, rows)
    found = propagate(family, rows, weights, theta, box, ONE)
    n, count = len(rows.target), len(found.leaves)
    leaf = found.leaves[n + 1]
    best = np.array([-t[1] / (2 * t[2]) for t in (theta, leaf)])
    assert abs(best[1] - best[0]) * np.sqrt((count - 1) / count) == pytest.approx(
        CELL_DRIFT, rel=0.1
    )


def test_halves_find_where_the_curvature_jumps() -> None:
    x = np.linspace(-1, 1, 30)[:, None]
    cell, s, weights = np.zeros(30, np.int64), np.zeros((30, 0)), np.ones(30)
    off = x[:, 0] - 0.3
    target = 0.01 * off**2 * np.where(off < 0, 1, 12)
    assert shift(x, cell, s, target, weights, 0) == pytest.approx(0.6 * 0.3, abs=0.01)
    rng = np.random.default_rng(0)
    smooth = 0.01 * x[:, 0] ** 2 + 0.001 * rng.normal(size=30)
    assert shift(x, cell, s, smooth, weights, 0) < 0.03


def parts_of(rows: Rows) -> dict[str, Fitted]:
    found = {}
    for name, family in (
        ("quadratic", Quadratic(Shape(1, 0, 0))),
        ("bowl", Bowl(Shape(1, 0, 0))),
    ):
        theta, weights, box = fitted(family, rows)
        steps = propagate(family, rows, weights, theta, box, ONE)
        found[name] = Fitted(
            family,
            theta,
            steps.leaves,
            steps.leaves,
            {"is_settled": True},
            "numpy",
            (),
            np.zeros(len(rows.target)),
            steps.parts.freedom(steps.spare),
            steps.misfit,
            steps.spare,
            steps.parts,
        )
    return found


def test_what_forms_differ_by_adds_its_variance() -> None:
    """Ln loss at a point is linear in the weights of a mix."""
    parts = parts_of(one_cell())
    whole = few_cells.average(parts, None, None, list(parts), 10)
    assert isinstance(whole.family, Mix)
    z = np.array([[0.9]])

    def at(family: Family, thetas: np.ndarray) -> np.ndarray:
        return forms.log_losses(family, thetas[:, None], z)[:, 0]

    point = at(whole.family, whole.theta[None])[0]
    leaves = at(whole.family, whole.leaves)
    shares = few_cells.shares([part.misfit for part in parts.values()])
    single = np.array([at(p.family, p.theta[None])[0] for p in parts.values()])
    assert point == pytest.approx(shares @ single)
    count = len(leaves)
    last = (count - 1) / count * np.sum((leaves[-2:] - point) ** 2)
    # A leaf goes as far as its form at most.
    reach = np.minimum(shares, (count - 1) / count)
    assert last == pytest.approx(reach @ (single - point) ** 2, rel=1e-9)
    assert whole.freedom is not None
    assert whole.freedom >= min(p.spare for p in parts.values() if p.spare)
    error = intervals.standard_error(point, leaves)
    assert error**2 > last
