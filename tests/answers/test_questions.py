"""The optimum and its question: closed forms, SciPy, every refusal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from support import fit as fit_support

from surrogate.answers import Fit
from surrogate.base.errors import DataError, Status
from surrogate.fitting import intervals

ASK: dict[str, Any] = {"params": 4e8, "tokens": 2e10}
WHERE = [ASK, {"params": 1e9, "tokens": 1e11}, {"params": 7e9, "tokens": 1e12}]
OPTIMUM = {
    **fit_support.COMMON,
    "lr": None,
    "batch": None,
    "loss": None,
    "interval": {"level", "unit", "lr", "batch", "loss"},
    "certificate": {"gradient_norm", "gap", "hessian_eigenvalues"},
    "stability": {"probability", "octaves_to_edge", "p_max"},
}


@pytest.fixture(scope="module")
def steplaw() -> Fit:
    return fit_support.bundled()


@pytest.mark.parametrize("where", WHERE)
def test_the_optimum_is_certified_and_scipy_finds_no_better(
    steplaw: Fit, where: dict[str, Any]
) -> None:
    found = steplaw.optimum(**where)
    assert found.status is Status.ok
    assert 0 <= found.certificate.gap <= 1e-10
    assert found.certificate.gradient_norm < 1e-9
    assert min(found.certificate.hessian_eigenvalues) > 0
    start = np.log([found.lr * 1.6, found.batch * 0.7])
    best = optimize.minimize(
        lambda u: fit_support.log_loss_of(steplaw, u, **where),
        start,
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-15},
    )
    # The loss is flat to rounding within sqrt(1e-16 / curvature) of its minimum.
    np.testing.assert_allclose(np.log([found.lr, found.batch]), best.x, atol=1e-6)
    assert found.loss == pytest.approx(np.exp(best.fun), rel=1e-13)


def test_the_optimum_of_a_bowl_is_its_centre() -> None:
    """Closed form; the prior moves what is fitted by 1e-6."""
    where: dict[str, Any] = {"params": 3.3e8, "tokens": 1.7e10}
    bowl, fitted = fit_support.BOWL, fit_support.exact()
    found = fitted.optimum(**where)
    at = np.log([found.lr, found.batch])
    np.testing.assert_allclose(at, bowl.centre(**where), atol=5e-6)
    assert np.log(found.loss) == pytest.approx(bowl.floor(**where), abs=1e-7)
    eigenvalues = np.linalg.eigvalsh(bowl.hessian())
    np.testing.assert_allclose(
        found.certificate.hessian_eigenvalues, eigenvalues, rtol=1e-5
    )


def test_the_certificate_is_in_ln_units(steplaw: Fit) -> None:
    """Derivative: differences of `predict` at a point held away from the optimum."""
    found = steplaw.optimum(**ASK)
    at, h = np.log([found.lr, found.batch]), 0.02
    grid = np.stack(np.meshgrid([-h, 0, h], [-h, 0, h], indexing="ij"))
    lr, batch = np.exp(grid.reshape(2, 9) + at[:, None])
    f = np.log(steplaw.predict(lr, batch, **ASK).loss).reshape(3, 3)
    xx, yy = f[2, 1] - 2 * f[1, 1] + f[0, 1], f[1, 2] - 2 * f[1, 1] + f[1, 0]
    xy = (f[2, 2] - f[2, 0] - f[0, 2] + f[0, 0]) / 4
    hessian = np.array([[xx, xy], [xy, yy]]) / h**2
    np.testing.assert_allclose(
        found.certificate.hessian_eigenvalues, np.linalg.eigvalsh(hessian), rtol=1e-3
    )


def test_a_held_setting_leaves_a_search_on_a_line(steplaw: Fit) -> None:
    def best_on(axis: int, value: float) -> float:
        def loss(other: float) -> float:
            u = np.insert([other], 1 - axis, np.log(value))
            return fit_support.log_loss_of(steplaw, u, **ASK)

        start = [-6.0, 13.0][axis]
        options = {"xatol": 1e-9, "fatol": 1e-15}
        best = optimize.minimize(
            lambda x: loss(x[0]), [start], method="Nelder-Mead", options=options
        )
        return float(best.x[0])

    held = steplaw.optimum(**ASK, batch=2e6)
    assert held.batch == 2e6
    assert np.log(held.lr) == pytest.approx(best_on(0, 2e6), abs=1e-6)
    assert np.isnan(held.batch_interval).all()
    assert held.lr_interval[0] < held.lr < held.lr_interval[1]
    assert held.status is Status.ok
    other = steplaw.optimum(**ASK, lr=6e-4)
    assert other.lr == 6e-4
    assert np.log(other.batch) == pytest.approx(best_on(1, 6e-4), abs=1e-6)
    assert np.isnan(other.lr_interval).all()
    assert other.to_json()["interval"]["lr"] is None
    free = steplaw.optimum(**ASK)
    assert free.loss < min(held.loss, other.loss)


@given(st.sampled_from([1.0, 4096.0, 1e5, 262144.0, 3e6]), st.floats(0.1, 3))
@settings(max_examples=15)
def test_a_multiple_is_the_best_multiple(multiple: float, size: float) -> None:
    fitted = fit_support.bare(fit_support.bundled())
    where: dict[str, Any] = {"params": 4e8 * size, "tokens": 2e10}
    found = fitted.optimum(**where, batch_multiple=multiple)
    count = found.batch / multiple
    assert count == round(count) >= 1
    for neighbour in (count - 1, count + 1):
        if neighbour >= 1:
            other = fitted.optimum(**where, batch=neighbour * multiple)
            assert found.loss <= other.loss * (1 + 1e-15)
    assert found.loss == fitted.optimum(**where, batch=found.batch).loss


def test_a_multiple_at_the_edge_of_the_box_says_so(steplaw: Fit) -> None:
    top = steplaw.optimum(**ASK).batch / 2
    found = steplaw.optimum(**ASK, batch_multiple=1e4, batch_range=(1e4, top))
    assert found.batch <= top < found.batch + 1e4
    assert found.status is Status.at_bound
    assert any("edge of the box" in text for text in found.context.warnings)


def test_ranges_bound_the_optimum(steplaw: Fit) -> None:
    free = steplaw.optimum(**ASK)
    found = steplaw.optimum(**ASK, lr_range=(1e-5, free.lr / 2))
    assert found.lr == pytest.approx(free.lr / 2, rel=1e-12)
    assert found.status is Status.at_bound
    assert found.certificate.gap <= 1e-10
    assert any("edge of the box" in text for text in found.context.warnings)
    low = steplaw.optimum(**ASK, batch_range=(free.batch * 2, 1e8))
    assert low.batch == pytest.approx(free.batch * 2, rel=1e-12)
    held = steplaw.optimum(**ASK, lr=free.lr / 2)
    assert found.loss == pytest.approx(held.loss, rel=1e-13)
    inside = steplaw.optimum(**ASK, lr_range=(free.lr / 2, free.lr * 2))
    assert inside.status is Status.ok
    assert inside.lr == pytest.approx(free.lr, rel=1e-9)


def test_intervals_are_those_of_the_leaves_one_by_one(steplaw: Fit) -> None:
    """Independent: each cell left out asked alone, the jackknife in NumPy."""
    found = steplaw.optimum(**ASK)
    alone = [single.optimum(**ASK) for single in fit_support.singles(steplaw, "leaves")]
    assert len(alone) == 17
    assert found.level == 0.95
    for name in ("lr", "batch", "loss"):
        point = np.log(getattr(found, name))
        leaves = np.log([getattr(answer, name) for answer in alone])
        error = np.sqrt(16 / 17 * np.sum((leaves - point) ** 2))
        ends = point + stats.t.ppf([0.025, 0.975], 14) * error
        interval = getattr(found, f"{name}_interval")
        np.testing.assert_allclose(np.log(interval), ends, atol=1e-9)
        assert interval[0] < np.exp(point) < interval[1]


def test_without_draws_every_interval_is_null(steplaw: Fit) -> None:
    found = fit_support.bare(steplaw).optimum(**ASK)
    document = found.to_json()
    nothing = {"level": 0.95, "unit": "cells", "lr": None, "batch": None, "loss": None}
    assert document["interval"] == nothing
    assert "No intervals: the fit has 17 cells and no draws." in document["warnings"]
    few = replace(steplaw, leaves=steplaw.leaves[:4])
    document = few.optimum(**ASK).to_json()
    assert document["interval"] == nothing


# ------------------------------------------------------------- how far, how it went


def test_distance_is_under_one_at_every_cell_and_grows(steplaw: Fit) -> None:
    def distance(params: float, tokens: float) -> float:
        return steplaw.optimum(params=params, tokens=tokens).context.distance

    cells = [steplaw.optimum(params=c.params, tokens=c.tokens) for c in steplaw.cells]
    assert all(cell.context.inside for cell in cells)
    assert 0.5 < max(cell.context.distance for cell in cells) < 1
    away = [distance(1.07e9 * k, 1e11 * k) for k in (1.5, 3, 10, 100)]
    assert (np.diff(away) > 0).all()
    assert away[0] > 1
    far = steplaw.optimum(params=1.07e11, tokens=1e13)
    assert not far.context.inside
    text = f"Extrapolation: {far.context.distance:.2f} times as far"
    assert any(warning.startswith(text) for warning in far.context.warnings)


def test_a_strange_ratio_is_warned_of(steplaw: Fit) -> None:
    found = steplaw.optimum(params=1e9, tokens=5e7)
    assert found.context.warnings[0].startswith("tokens / params is 0.05, outside 0.1")
    assert not steplaw.optimum(**ASK).context.warnings


def test_a_batch_in_sequences_is_warned_of(steplaw: Fit) -> None:
    smallest = steplaw.features.fitted["batch"][0]
    found = steplaw.optimum(**ASK, batch=256.0, allow=("small",))
    text = "A batch of 256 tokens is under 1/16 .*Were sequences meant"
    assert any(re.search(text, warning) for warning in found.context.warnings)
    enough = steplaw.optimum(**ASK, batch=smallest / 16, allow=("small",))
    assert not any("sequences" in warning for warning in enough.context.warnings)


def test_a_fit_that_did_not_settle_says_so(steplaw: Fit) -> None:
    found = replace(steplaw, is_converged=False).optimum(**ASK)
    assert found.status is Status.not_converged
    assert "The fit had not converged" in found.context.warnings[0]


def test_a_surface_that_is_no_number_has_no_optimum(steplaw: Fit) -> None:
    bare = fit_support.bare(steplaw)
    broken = replace(bare, theta=np.full_like(steplaw.theta, np.nan))
    found = broken.optimum(**ASK)
    assert found.status is Status.no_optimum
    document = found.to_json()
    assert document["loss"] is None
    json.dumps(document, allow_nan=False)


def test_json_has_the_keys_of_the_contract(steplaw: Fit) -> None:
    document = steplaw.optimum(**ASK).to_json()
    json.dumps(document, allow_nan=False)
    for key, inner in OPTIMUM.items():
        assert key in document
        if inner:
            assert document[key].keys() == inner
    assert len(document["certificate"]["hessian_eigenvalues"]) == 2
    assert [len(document["interval"][key]) for key in ("lr", "batch", "loss")] == [
        2
    ] * 3
    assert document["recipe"] is None
    assert document["scales"] == {}
    assert document["loss_kind"] == "train_smoothed"


# ------------------------------------------------------------- asked wrongly

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"params": 0.0}, "Expected params to be a positive number, got 0.0"),
    ({"params": -1e9}, "Expected params to be a positive number"),
    ({"tokens": float("nan")}, "Expected tokens to be a positive number, got nan"),
    ({"tokens": float("inf")}, "Expected tokens to be a positive number, got inf"),
    ({"lr": 0.0}, "Expected lr to be a positive number"),
    ({"batch": -5.0}, "Expected batch to be a positive number"),
    ({"recipe": "muon"}, "Expected no --recipe, .* one unnamed recipe, got 'muon'"),
    ({"scales": {"experts": 4.0}}, r"variable of the fit \(none\), got --scale 'exp"),
    ({"lr_range": (1e-2, 1e-3)}, "lr_range to be two positive numbers.*0.01, 0.001"),
    ({"batch_range": (0.0, 1e6)}, "batch_range to be two positive numbers"),
    ({"batch_range": (1e5, float("inf"))}, "batch_range to be two positive numbers"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_a_wrong_question_is_refused(
    steplaw: Fit, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        steplaw.optimum(**(ASK | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": 1e-3, "batch": 1e6}, "at most one of lr and batch, got both"),
        ({"batch": 1e6, "batch_multiple": 1e5}, "batch_multiple or a batch, got both"),
        ({"batch_multiple": 0.0}, "Expected batch_multiple to be a positive number"),
        (
            {"batch_multiple": 1e9},
            r"multiple of 1e\+09 tokens between .* there is none",
        ),
    ],
)
def test_a_wrong_hold_is_refused(
    steplaw: Fit, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        steplaw.optimum(**(ASK | change))


@pytest.mark.parametrize(
    "answer",
    [
        lambda fit, **ask: fit.plateau(**ask),
        lambda fit, **ask: fit.regret(**({"lr": 1e-3, "batch": 5e5} | ask)),
    ],
)
@pytest.mark.parametrize(("change", "message"), WRONG)
def test_other_answers_refuse_the_same(
    steplaw: Fit,
    answer: Callable[..., object],
    change: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(DataError, match=message):
        answer(steplaw, **(ASK | change))


def test_the_level_of_every_interval_is_the_house_s() -> None:
    assert intervals.LEVEL == 0.95
