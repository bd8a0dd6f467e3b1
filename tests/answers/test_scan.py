"""Optima at fixed steps or a fixed budget, and what changing one setting is worth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import optimize
from support import fit as fit_support

from surrogate import fit
from surrogate.answers import Fit
from surrogate.base.errors import DataError, Status
from surrogate.data import Runs

ASK: dict[str, Any] = {"params": 4e8, "tokens": 2e10}


@pytest.fixture(scope="module")
def steplaw() -> Fit:
    return fit_support.bundled()


def best_by_scipy(aim: Any, start: np.ndarray) -> optimize.OptimizeResult:
    options = {"xatol": 1e-9, "fatol": 1e-15, "maxiter": 4000, "maxfev": 4000}
    return optimize.minimize(aim, start, method="Nelder-Mead", options=options)


def test_fixed_steps_are_as_a_search_over_lr_and_batch_finds() -> None:
    # Steep enough in batch that more tokens do not always pay for a larger one.
    bowl = fit_support.Bowl(yy=0.15)
    runs = Runs.from_arrays(**fit_support.table(bowl, noise=5e-4))
    fitted = fit(runs, family="quadratic", bootstrap=50)
    steps, params = 20_000.0, 4e8
    found = fitted.optimum(params=params, steps=steps)
    assert found.status is Status.ok
    assert found.context.tokens == pytest.approx(steps * found.batch, rel=1e-12)

    def aim(u: np.ndarray) -> float:
        where = {"params": params, "tokens": steps * float(np.exp(u[1]))}
        return fit_support.log_loss_of(fitted, u, **where)

    start = np.log([found.lr * 1.3, found.batch * 0.8])
    best = best_by_scipy(aim, start)
    np.testing.assert_allclose(np.log([found.lr, found.batch]), best.x, atol=2e-6)
    assert found.loss == pytest.approx(np.exp(best.fun), rel=1e-11)
    low, high = found.batch_interval
    assert low < found.batch < high
    assert found.scan is not None
    assert found.scan.tokens_interval[0] == pytest.approx(steps * low, rel=1e-9)
    assert found.to_json()["scan"]["steps"] == steps


def test_where_more_tokens_always_pay_the_batch_ends_at_its_bound() -> None:
    fitted = fit_support.quadratic()
    found = fitted.optimum(params=4e8, steps=20_000.0)
    assert found.status is Status.at_bound
    assert found.batch == pytest.approx(
        4 * fitted.features.fitted["batch"][1], rel=1e-5
    )


def test_a_budget_is_as_a_search_over_sizes_too_finds(steplaw: Fit) -> None:
    flops = 2e20
    found = steplaw.optimum(flops=flops)
    assert found.status is Status.ok
    product = 6 * found.context.params * found.context.tokens
    assert product == pytest.approx(flops, rel=1e-12)

    def aim(u: np.ndarray) -> float:
        params = float(np.exp(u[2]))
        where = {"params": params, "tokens": flops / (6 * params)}
        return fit_support.log_loss_of(steplaw, u[:2], **where)

    start = np.log([found.lr * 1.3, found.batch * 0.8, found.context.params * 1.2])
    best = best_by_scipy(aim, start)
    at = np.log([found.lr, found.batch, found.context.params])
    np.testing.assert_allclose(at, best.x, atol=1e-5)
    assert found.loss == pytest.approx(np.exp(best.fun), rel=1e-10)
    assert any("scanned" in text for text in found.context.warnings)


def test_steps_with_a_batch_are_tokens() -> None:
    fitted = fit_support.quadratic()
    one = fitted.optimum(params=4e8, steps=20_000.0, batch=1e6)
    two = fitted.optimum(params=4e8, tokens=2e10, batch=1e6)
    assert one.lr == two.lr
    assert one.scan is None


@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"params": 4e8},
        {"params": 4e8, "tokens": 2e10, "steps": 1e4},
        {"flops": 1e20, "params": 4e8, "tokens": 2e10},
        {"flops": 1e20, "params": 4e8, "steps": 1e4},
        {"steps": 1e4},
    ],
)
def test_sizes_in_no_or_two_ways_are_refused(
    steplaw: Fit, sizes: dict[str, Any]
) -> None:
    with pytest.raises(DataError, match="params, tokens and flops, or params and"):
        steplaw.optimum(**sizes)


@pytest.mark.parametrize("sizes", [{"flops": -1.0}, {"params": 4e8, "steps": 0.0}])
def test_what_is_no_positive_number_is_refused(
    steplaw: Fit, sizes: dict[str, Any]
) -> None:
    with pytest.raises(DataError, match="positive"):
        steplaw.optimum(**sizes)


def test_a_fit_without_batch_cannot_choose_it_at_fixed_steps() -> None:
    with pytest.raises(DataError, match="knows batch"):
        fit_support.lr_alone().optimum(params=4e8, steps=1e4, recipe="adamw")


def test_changing_one_setting_alone_is_measured_from_the_choice(steplaw: Fit) -> None:
    best = steplaw.optimum(**ASK)
    choice: dict[str, Any] = {"lr": 4 * best.lr, "batch": 1.5 * best.batch}
    found = steplaw.regret(**ASK, **choice)
    lr, batch = found.change["lr"], found.change["batch"]
    assert lr is not None
    assert batch is not None
    at_batch = steplaw.optimum(**ASK, batch=choice["batch"])
    assert lr["best"] == pytest.approx(at_batch.lr, rel=1e-6)
    assert lr["regret"] == pytest.approx(at_batch.loss / best.loss - 1, rel=1e-9)
    nearest = steplaw.regret(**ASK, lr=lr["within_tol"], batch=choice["batch"])
    assert nearest.regret == pytest.approx(found.tol, rel=1e-7)
    assert at_batch.lr < lr["within_tol"] < choice["lr"]
    # Four times the best lr is beyond what any batch makes good.
    assert batch["regret"] > found.tol
    assert np.isnan(batch["within_tol"])
    assert found.to_json()["change"]["batch"]["within_tol"] is None


def test_the_nearest_setting_within_tol_is_on_the_stable_side(steplaw: Fit) -> None:
    """The edge runs between the best lr and the end of the plateau."""
    assert steplaw.stability is not None
    flat = steplaw.plateau(**ASK)
    best, top = flat.optimum[0], flat.lr_at_optimal_batch[1]
    lr, batch = np.sqrt(best * top), flat.optimum[1]
    risk = steplaw.regret(**ASK, lr=lr, batch=batch).stability
    assert risk is not None
    slope = steplaw.stability.slope[steplaw.stability.names.index("lr")]
    shift = float(risk["octaves_to_edge"] or 0.0) * slope * np.log(2)
    stability = replace(
        steplaw.stability, intercept=steplaw.stability.intercept + shift
    )
    cut = replace(steplaw, stability=stability)
    found = cut.regret(**ASK, lr=2 * top, batch=batch).change["lr"]
    assert found is not None
    assert found["within_tol"] == pytest.approx(lr, rel=1e-6)


def test_the_largest_batch_is_on_the_edge_of_the_plateau(steplaw: Fit) -> None:
    found = steplaw.plateau(**ASK)
    lr, batch = found.largest_batch
    assert batch == pytest.approx(found.batch[1], rel=1e-12)
    assert steplaw.regret(**ASK, lr=lr, batch=batch).regret == pytest.approx(
        found.tol, rel=1e-7
    )
