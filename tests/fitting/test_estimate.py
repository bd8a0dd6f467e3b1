"""Robust fits from cold: the optimum recovered, spikes withstood, rows left out."""

from __future__ import annotations

from functools import cache, partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.families import formula

from surrogate.data import Runs
from surrogate.data.coordinates import Features, Rows
from surrogate.families import Family, Posynomial, Quadratic, Shape
from surrogate.families.protocol import CELL_SPREAD
from surrogate.fitting import irls, resampling
from surrogate.fitting.irls import Estimate
from surrogate.fitting.objective import Objective
from surrogate.numerics import batches, least_squares, newton
from surrogate.numerics.least_squares import Solution

ROUNDING = 1e-12
QUADRATIC, POSYNOMIAL = Quadratic(Shape(2, 2, 0)), Posynomial(Shape(2, 2, 0), 3)
CELLS = np.log(list(product([0.3, 1.0, 3.0], [0.4, 2.5])))
# Exponents of lr, batch, params and tokens of what keeps (lr, batch) in bounds.
PENALTIES = np.array(
    [[-1.0, 0.3, 0.1, -0.3], [0.6, -0.8, 0.2, 0.1], [0.5, 0.6, 0.3, -0.2]]
)
NOISE = 0.001


def true_loss(x: np.ndarray) -> np.ndarray:
    """A posynomial of (lr, batch, params, tokens) over (1e-3, 5e5, 3e8, 2e10)."""
    scaling = 1.6 + 0.5 * np.exp(-0.3 * x[:, 2]) + 0.4 * np.exp(-0.25 * x[:, 3])
    return scaling + 0.02 * np.exp(x @ PENALTIES.T).sum(axis=1)


def true_optimum() -> np.ndarray:
    """Ln (lr, batch) over (1e-3, 5e5) of every cell, by the 2 x 2 system.

    Weights w with w @ exponents = 0 are the ratios of the three terms.
    """
    of_u, of_s = PENALTIES[:, :2], PENALTIES[:, 2:]
    share = np.linalg.svd(of_u.T)[2][-1]
    lever = np.log(np.abs(share))[:, None] - of_s @ CELLS.T
    return np.linalg.solve(of_u[:2] - of_u[2], lever[:2] - lever[2]).T


@cache
def sweep(seed: int) -> tuple[Features, Rows]:
    """Six cells of 5 x 4 runs around their optima, noise of 1 permille."""
    steps = np.array(list(product([-1.4, -0.7, 0.0, 0.7, 1.4], [-1.2, -0.4, 0.4, 1.2])))
    u = (np.round(true_optimum()[:, None] / 0.35) * 0.35 + steps).reshape(-1, 2)
    x = np.concatenate([u, np.repeat(CELLS, len(steps), axis=0)], axis=1)
    noise = np.random.default_rng(seed).normal(scale=NOISE, size=len(x))
    natural = np.exp(x) * [1e-3, 5e5, 3e8, 2e10]
    lr, batch, params, tokens = natural.T
    loss = true_loss(x) * np.exp(noise)
    runs = Runs.from_arrays(lr=lr, batch=batch, params=params, tokens=tokens, loss=loss)
    features = Features.of(runs)
    return features, features.rows(runs)


def ones(rows: Rows, problems: int = 1) -> np.ndarray:
    return np.ones((problems, len(rows.target)))


@cache
def fit(family: Family, seed: int) -> Estimate:
    features, rows = sweep(seed)
    return irls.estimate(family, rows, ones(rows), features.box())


def optima(found: Estimate, features: Features) -> np.ndarray:
    """Ln (lr, batch) over (1e-3, 5e5) of every cell of the first problem."""
    return np.log(features.from_u(found.surface.cell_u[0]) / [1e-3, 5e5])


def assert_same(one: Any, other: Any) -> None:
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


# ---- the optimum ----------------------------------------------------------------


@pytest.mark.once
def test_optimum_of_a_known_posynomial_is_recovered() -> None:
    # Statistical, seeds fixed: the mean error over 5 tables is within 4 standard
    # errors, and a typical error is below a seventh of the grid's step.
    errors = np.stack(
        [optima(fit(POSYNOMIAL, seed), sweep(seed)[0]) for seed in range(5)]
    )
    errors -= true_optimum()
    standard = errors.std(axis=0, ddof=1) / np.sqrt(len(errors))
    assert (np.abs(errors.mean(axis=0)) < 4 * standard).all()
    assert np.sqrt(np.mean(errors**2)) < 0.1


def test_a_fit_reports_its_surface() -> None:
    # Independent code: the formula on the rows, a grid search for the minimum.
    features, rows = sweep(0)
    for family in (QUADRATIC, POSYNOMIAL):
        found = fit(family, 0)
        theta, surface = found.solution.theta[0], found.surface
        fitted = formula(family, theta, rows.z)
        np.testing.assert_allclose(surface.fitted[0], fitted, atol=ROUNDING)
        excess = fitted - surface.cell_minimum[0][rows.cell]
        np.testing.assert_allclose(surface.excess[0], excess, atol=ROUNDING)
        assert surface.certified.all()
        for u, s, least in zip(
            surface.cell_u[0], rows.cell_s, surface.cell_minimum[0], strict=True
        ):
            around = u + np.array([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]) * 1e-3
            z = np.concatenate([around, np.broadcast_to(s, (5, 2))], axis=1)
            values = formula(family, theta, z)
            assert values[0] == pytest.approx(least, abs=ROUNDING)
            assert (values[1:] > values[0]).all()
        assert features.box()[0].max() < surface.cell_u.min()


def test_the_last_weights_are_those_of_the_fit_s_own_excess() -> None:
    # Iterative: rounds of weights come to rest, up to one last small change. What a
    # cell shares, in closed form, is no residual.
    _, rows = sweep(0)
    for family in (QUADRATIC, POSYNOMIAL):
        found = fit(family, 0)
        residual = rows.target - found.surface.fitted
        own = residual.copy()
        for cell in range(len(CELLS)):
            at, w = rows.cell == cell, found.weights[0]
            shared = np.sum((w * residual[0])[at]) / (
                np.sum(w[at]) + 1 / CELL_SPREAD**2
            )
            own[0, at] -= shared
        with jax.enable_x64(True):
            arrays = map(jnp.asarray, (own, found.surface.excess, ones(rows)))
            objective = Objective(growth=family.misfit)
            again = np.asarray(jax.vmap(objective.weights)(*arrays))
        np.testing.assert_allclose(found.weights, again, rtol=0.05)
        near = found.surface.excess[0] < 0.002
        far = found.surface.excess[0] > 0.02
        assert found.weights[0][near].mean() > 10 * found.weights[0][far].mean()


def test_second_start_tells_how_much_worse_it_is() -> None:
    assert 0 <= fit(POSYNOMIAL, 0).second_start[0] < np.inf
    np.testing.assert_array_equal(fit(QUADRATIC, 0).second_start, [0.0])


# ---- robustness -----------------------------------------------------------------


def test_a_spike_moves_the_optimum_little() -> None:
    # Robust: 20 % on one run near an optimum; without the tail it moves the optimum by
    # several times as much, and by more than its standard error.
    features, rows = sweep(0)
    near = int(np.argmin(fit(POSYNOMIAL, 0).surface.excess[0]))
    spiked = rows._replace(target=rows.target.copy())
    spiked.target[near] += np.log(1.2)
    move = {}
    for name, objective in (("t", Objective()), ("normal", Objective(tail=1e12))):
        both = [
            irls.estimate(
                QUADRATIC, table, ones(rows), features.box(), objective=objective
            )
            for table in (rows, spiked)
        ]
        before, after = (optima(found, features) for found in both)
        move[name] = np.abs(after - before).max()
    assert move["t"] < 0.02 < 0.1 < move["normal"]
    found = irls.estimate(POSYNOMIAL, spiked, ones(rows), features.box())
    moved = optima(found, features) - optima(fit(POSYNOMIAL, 0), features)
    assert np.abs(moved).max() < 0.05


# ---- rows left out --------------------------------------------------------------


def test_a_row_left_out_has_no_say_whatever_its_loss() -> None:
    # Property, to the bit: the same fit when what is left out is wild.
    features, rows = sweep(0)
    counts = (rows.cell[None] != 2).astype(np.float64)
    wild = rows._replace(target=np.where(rows.cell == 2, 3.0, rows.target))
    for family in (QUADRATIC, POSYNOMIAL):
        one, other = (
            irls.estimate(family, table, counts, features.box())
            for table in (rows, wild)
        )
        assert_same(one.solution, other.solution)
        assert (one.weights[0][rows.cell == 2] == 0).all()


def test_leaving_rows_out_equals_a_table_without_them() -> None:
    # Property; sums over other blocks of rows differ by rounding.
    features, rows = sweep(0)
    kept = rows.cell != 2
    counts = kept[None].astype(np.float64)
    fewer = Rows(rows.z[kept], rows.target[kept], rows.cell[kept], rows.cell_s)
    one = irls.estimate(QUADRATIC, rows, counts, features.box())
    other = irls.estimate(QUADRATIC, fewer, ones(fewer), features.box())
    np.testing.assert_allclose(one.solution.theta, other.solution.theta, atol=1e-9)
    np.testing.assert_allclose(one.weights[:, kept], other.weights, rtol=1e-6)


def test_a_problem_does_not_depend_on_its_company() -> None:
    # Property: the whole table alone, and beside two folds. Rounding differs (blocks of
    # fits are fixed, evaluations are not), and a fit stops at 1e-9 of its cost.
    features, rows = sweep(0)
    counts = np.stack([rows.cell != out for out in (9, 2, 4)]).astype(np.float64)
    heard: list[int] = []

    class Ear:
        def start(self, task: str, total: int) -> None: ...

        def advance(self, n: int) -> None:
            heard.append(n)

        def stop(self) -> None: ...

    for family in (QUADRATIC, POSYNOMIAL):
        found = irls.estimate(family, rows, counts, features.box(), progress=Ear())
        alone = fit(family, 0)
        fitted = found.surface.fitted
        np.testing.assert_allclose(fitted[:1], alone.surface.fitted, atol=1e-7)
        np.testing.assert_allclose(found.weights[:1], alone.weights, rtol=1e-4)
        assert (np.abs(fitted[1:] - fitted[0]).max(axis=1) > 1e-5).all()
    assert heard == [3, 3]


# ---- draws ----------------------------------------------------------------------


def test_refits_start_from_the_fit_and_keep_its_weights() -> None:
    _, rows = sweep(0)
    found = fit(POSYNOMIAL, 0)
    theta, weights = found.solution.theta[0], found.weights
    counts = np.ones((2, len(rows.cell_s)))
    counts[1, 1] = 2.0
    heard: list[int] = []
    again = irls.refit(POSYNOMIAL, rows, weights[0], counts, theta)
    assert heard == []
    assert again.cost[0] <= found.solution.cost[0] * (1 + 1e-12)
    # Nothing is left to gain: what a refit finds fits the same to 1e-5 of ln loss.
    fitted = formula(POSYNOMIAL, again.theta[0], rows.z)
    np.testing.assert_allclose(fitted, found.surface.fitted[0], atol=1e-5)
    assert again.cost[1] > again.cost[0]
    assert irls.is_settled(again, len(rows.target)).all()


def test_of_several_starts_the_lowest_end_is_kept() -> None:
    # By hand: two draws of three starts and one that Ctrl-C cut off; NaN never wins.
    cost = np.array([3.0, np.nan, 2.0, 5.0, 6.0, 7.0, 1.0])
    number = np.arange(7)
    theta = number[:, None].astype(float)
    every = Solution(theta, cost, 0.1 * number, number, number, 8, False, "xla")
    found = irls._best(every, 3)
    np.testing.assert_array_equal(found.theta[:, 0], [2, 3])
    np.testing.assert_array_equal(found.cost, [2, 5])
    np.testing.assert_array_equal(found.status, [2, 3])
    np.testing.assert_array_equal(found.iterations, [0 + 1 + 2, 3 + 4 + 5])
    np.testing.assert_allclose(found.decrement, [0.2, 0.3])


def test_rivals_lower_costs_and_depend_on_no_other_draw() -> None:
    # Property: another start can but help; to rounding whatever is asked for beside.
    _, rows = sweep(1)
    found = fit(POSYNOMIAL, 1)
    counts = resampling.resample(3, 12, len(rows.cell_s))
    run = partial(
        irls.refit,
        POSYNOMIAL,
        rows,
        found.weights[0],
        theta=found.solution.theta[0],
    )
    plain, several = run(counts), run(counts, rivals=counts[:4])
    assert (several.cost <= plain.cost * (1 + 1e-9)).all()
    assert (several.iterations > plain.iterations).all()
    few = run(counts[5:7], rivals=counts[:4])
    np.testing.assert_allclose(few.theta, several.theta[5:7], rtol=1e-9, atol=1e-11)


def test_settled_is_converged_or_below_the_noise() -> None:
    # Closed form: decrement^2 x rows against 0.05, at 100 rows a decrement of 0.02236.
    decrement = np.array([0.0223, 0.0224, 0.9])
    status = np.array([newton.LIMIT, newton.LIMIT, newton.CONVERGED])
    steps = np.ones(3, int)
    solution = Solution(
        np.zeros((3, 1)), np.ones(3), decrement, status, steps, 8, False, "xla"
    )
    settled = irls.is_settled(solution, 100)
    np.testing.assert_array_equal(settled, [True, False, True])


@pytest.mark.once
def test_a_full_process_drops_its_programs_and_computes_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Property, to the bit.
    features, rows = sweep(0)
    old = irls.estimate(QUADRATIC, rows, ones(rows), features.box(), backend="xla")
    monkeypatch.setattr(batches, "is_full", lambda: False)
    irls.make_room()
    programs: tuple[Any, ...] = (*least_squares.PROGRAMS, irls._evaluate)
    assert programs[-1]._cache_size() > 0
    monkeypatch.setattr(batches, "is_full", lambda: True)
    irls.make_room()
    assert [program._cache_size() for program in programs] == [0] * len(programs)
    new = irls.estimate(QUADRATIC, rows, ones(rows), features.box(), backend="xla")
    assert_same(old.solution, new.solution)
