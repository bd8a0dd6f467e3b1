"""The plateau and the regret: ellipses, losses on the edge, draws one by one."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support import fit as fit_support

from surrogate.answers import Fit, Optimum, Plateau
from surrogate.answers.extents import EDGES
from surrogate.base.chances import student
from surrogate.base.errors import DataError, Status
from surrogate.fitting import intervals

ASK: dict[str, Any] = {"params": 4e8, "tokens": 2e10}
TOL = 0.0025
ENDS = {"low", "high"}
PLATEAU = {
    **fit_support.COMMON,
    "tol": None,
    "loss_min": None,
    "loss_limit": None,
    "lr": {*ENDS, "octaves"},
    "batch": {*ENDS, "octaves"},
    "lr_at_optimal_batch": ENDS,
    "batch_at_optimal_lr": ENDS,
    "lr_at_batch": {"batch", *ENDS},
    "batch_at_lr": {"lr", *ENDS},
    "area_octaves2": None,
    "contour": {"lr", "batch"},
    "open_edges": None,
    "interval": {"level", "unit", *EDGES},
    "robust": {"probability", "max_probability", "lr", "batch", "pieces"},
    "stability": {"probability", "octaves_to_edge", "p_max", "cuts"},
}
REGRET = {
    **fit_support.COMMON,
    "lr": None,
    "batch": None,
    "loss": None,
    "loss_min": None,
    "regret": None,
    "interval": {"level", "unit", "regret"},
    "inside": None,
    "probability_inside": None,
    "stability": {"probability", "octaves_to_edge", "p_max"},
}


@pytest.fixture(scope="module")
def steplaw() -> Fit:
    return fit_support.bundled()


@pytest.fixture(scope="module")
def bare() -> Fit:
    """Without draws: quicker to ask often."""
    return fit_support.bare(fit_support.bundled())


def over(fit: Fit, lr: Any, batch: Any, answer: Plateau, **where: Any) -> np.ndarray:
    """The regret of settings, from `predict`."""
    found = fit.predict(np.asarray(lr), np.asarray(batch), **where)
    return found.loss / answer.loss_min - 1


@given(
    st.floats(2e8, 2e9), st.floats(5e9, 2e11), st.floats(2e-4, 0.02), st.floats(1.1, 4)
)
@settings(max_examples=15)
def test_a_plateau_is_a_level_set_around_its_optimum(
    params: float, tokens: float, tol: float, more: float
) -> None:
    # With no stability edge, which is no level of the loss.
    fitted = replace(fit_support.bare(fit_support.bundled()), stability=None)
    where: dict[str, Any] = {"params": params, "tokens": tokens}
    box: dict[str, Any] = {"lr_range": (1e-7, 10.0), "batch_range": (1e2, 1e10)}
    small = fitted.plateau(**where, **box, tol=tol)
    large = fitted.plateau(**where, **box, tol=tol * more)
    assert small.status is large.status is Status.ok
    for found in (small, large):
        edge = over(fitted, found.contour_lr, found.contour_batch, found, **where)
        np.testing.assert_allclose(edge, found.tol, atol=1e-9)
        assert found.loss_limit == pytest.approx(
            (1 + found.tol) * found.loss_min, rel=1e-14
        )
        lr, batch = found.optimum
        assert found.lr[0] < found.lr_at_optimal_batch[0] < lr
        assert lr < found.lr_at_optimal_batch[1] < found.lr[1]
        assert found.batch[0] < found.batch_at_optimal_lr[0] < batch
        assert batch < found.batch_at_optimal_lr[1] < found.batch[1]
        # 128 points of a contour miss an extent by the square of their spacing.
        for values, (low, high) in (
            (found.contour_lr, found.lr),
            (found.contour_batch, found.batch),
        ):
            share = np.log([low, values.min(), values.max(), high])
            width = share[3] - share[0]
            assert -1e-9 <= (share[1] - share[0]) / width < 1e-3
            assert -1e-9 <= (share[3] - share[2]) / width < 1e-3
    inside = over(fitted, small.contour_lr, small.contour_batch, large, **where)
    assert (inside < large.tol).all()
    assert large.lr[0] < small.lr[0] < small.lr[1] < large.lr[1]
    assert large.batch[0] < small.batch[0] < small.batch[1] < large.batch[1]
    assert small.area_octaves2 < large.area_octaves2


def test_the_plateau_of_a_bowl_is_an_ellipse() -> None:
    """Closed form; the prior moves what is fitted by 1e-6."""
    where: dict[str, Any] = {"params": 3.3e8, "tokens": 1.7e10}
    bowl, fitted = fit_support.BOWL, fit_support.exact()
    found = fitted.plateau(**where, tol=TOL, batch=3e5, lr=2e-3)
    at, hessian = bowl.centre(**where), bowl.hessian()
    room = 2 * np.log1p(TOL)
    half = np.sqrt(room * np.diag(np.linalg.inv(hessian)))
    close = {"rtol": 0, "atol": 2e-5}
    np.testing.assert_allclose(
        np.log([found.lr, found.batch]), np.stack([at - half, at + half], 1), **close
    )
    slices = np.sqrt(room / np.diag(hessian))
    np.testing.assert_allclose(
        np.log([found.lr_at_optimal_batch, found.batch_at_optimal_lr]),
        np.stack([at - slices, at + slices], 1),
        **close,
    )
    area = np.pi * room / np.sqrt(np.linalg.det(hessian)) / np.log(2) ** 2
    assert found.area_octaves2 == pytest.approx(area, rel=1e-4)
    assert found.lr_at_batch is not None
    assert found.batch_at_lr is not None
    for answer, held, (i, j) in (
        (found.lr_at_batch, 3e5, (0, 1)),
        (found.batch_at_lr, 2e-3, (1, 0)),
    ):
        off = np.log(held) - at[j]
        a, b, c = hessian[i, i], hessian[i, j] * off, hessian[j, j] * off**2 - room
        ends = at[i] + (-b + np.sqrt(b**2 - a * c) * np.array([-1, 1])) / a
        assert answer[0] == held
        np.testing.assert_allclose(np.log(answer[1:]), ends, **close)


def test_extents_are_where_the_best_of_a_line_meets_the_limit(bare: Fit) -> None:
    """Independent: the optimum with lr held at the edge loses exactly tol."""
    found = bare.plateau(**ASK)
    assert (found.tol, found.status) == (TOL, Status.ok)
    for lr in found.lr:
        assert bare.optimum(**ASK, lr=lr).loss == pytest.approx(
            found.loss_limit, rel=1e-10
        )
    for batch in found.batch:
        loss = bare.optimum(**ASK, batch=batch).loss
        assert loss == pytest.approx(found.loss_limit, rel=1e-10)
    optimum = bare.optimum(**ASK)
    assert found.optimum == (optimum.lr, optimum.batch)
    assert found.loss_min == optimum.loss


def test_slices_end_on_the_limit(bare: Fit) -> None:
    found = bare.plateau(**ASK, batch=6e5, lr=1.2e-3)
    lr, batch = found.optimum
    assert found.lr_at_batch is not None
    assert found.batch_at_lr is not None
    for lrs, batches in (
        (found.lr_at_optimal_batch, batch),
        (lr, found.batch_at_optimal_lr),
        (found.lr_at_batch[1:], 6e5),
        (1.2e-3, found.batch_at_lr[1:]),
    ):
        edge = over(bare, lrs, batches, found, **ASK)
        np.testing.assert_allclose(edge, TOL, atol=1e-10)
    document = found.to_json()
    assert document["lr_at_batch"].keys() == {"batch", *ENDS}
    assert document["batch_at_lr"]["lr"] == 1.2e-3


def test_the_area_is_that_of_the_contour(bare: Fit) -> None:
    """Independent: the shoelace formula; a polygon of 128 corners lacks 0.04 %."""
    found = bare.plateau(**ASK)
    x, y = np.log2(found.contour_lr), np.log2(found.contour_batch)
    polygon = 0.5 * abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))
    assert found.area_octaves2 == pytest.approx(polygon, rel=1e-3)


def test_the_area_is_the_share_of_random_points(bare: Fit) -> None:
    """Statistical: 4.5 binomial standard errors."""
    found = bare.plateau(**ASK)
    rng = np.random.default_rng(3)
    lr, batch = (
        np.exp(rng.uniform(np.log(low), np.log(high), 20_000))
        for low, high in (found.lr, found.batch)
    )
    p = float(np.mean(over(bare, lr, batch, found, **ASK) <= TOL))
    whole = float(np.prod([np.log2(b / a) for a, b in (found.lr, found.batch)]))
    error = 4.5 * whole * np.sqrt(p * (1 - p) / 20_000)
    assert found.area_octaves2 == pytest.approx(whole * p, abs=error)


@pytest.mark.parametrize(
    ("box", "edges"),
    [
        ({"lr_range": (1.5e-3, 1e-2)}, ("lr_low",)),
        ({"lr_range": (1e-5, 2.5e-3)}, ("lr_high",)),
        ({"batch_range": (3e5, 5e5)}, ("batch_low", "batch_high")),
    ],
)
def test_a_narrow_box_leaves_the_plateau_open(
    bare: Fit, box: dict[str, Any], edges: tuple[str, ...]
) -> None:
    found = bare.plateau(**ASK, **box)
    assert found.open_edges == edges
    assert found.status is Status.plateau_open
    text = f"The plateau runs into the edge of the box at {', '.join(edges)}:"
    assert any(warning.startswith(text) for warning in found.context.warnings)
    for edge in edges:
        name, side = edge.split("_")
        bound = box[f"{name}_range"][side == "high"]
        extent = getattr(found, name)[side == "high"]
        assert extent == pytest.approx(bound, rel=1e-9)
    free = bare.plateau(**ASK)
    assert found.area_octaves2 < free.area_octaves2
    assert not free.open_edges


def test_an_optimum_on_the_bound_is_told_before_an_open_edge(bare: Fit) -> None:
    found = bare.plateau(**ASK, lr_range=(1e-5, 1e-3))
    assert found.status is Status.at_bound
    assert found.open_edges == ("lr_high",)
    assert found.optimum[0] == pytest.approx(1e-3)
    # The lowest loss is that of the box, not of the plane.
    assert found.loss_min == pytest.approx(bare.optimum(**ASK, lr=1e-3).loss)


def test_a_batch_off_the_plateau_has_no_lr(bare: Fit) -> None:
    document = bare.plateau(**ASK, batch=5e6, lr=1e-5).to_json()
    assert document["lr_at_batch"] == {"batch": 5e6, "low": None, "high": None}
    assert document["batch_at_lr"] == {"lr": 1e-5, "low": None, "high": None}
    assert document["status"] == "ok"


def test_intervals_of_edges_are_those_of_the_leaves_one_by_one(steplaw: Fit) -> None:
    """Independent: each cell left out asked alone, the jackknife in NumPy."""
    found = steplaw.plateau(**ASK)
    alone = [single.plateau(**ASK) for single in fit_support.singles(steplaw, "leaves")]
    assert found.edge_intervals.keys() == set(EDGES)
    for edge, interval in found.edge_intervals.items():
        name, side = edge.split("_")
        point = np.log(getattr(found, name)[side == "high"])
        leaves = np.log([getattr(one, name)[side == "high"] for one in alone])
        error = np.sqrt(16 / 17 * np.sum((leaves - point) ** 2))
        ends = point + stats.t.ppf([0.025, 0.975], 14) * error
        np.testing.assert_allclose(np.log(interval), ends, atol=1e-8)


def test_stability_is_that_of_the_optimum(steplaw: Fit) -> None:
    found = steplaw.plateau(**ASK)
    assert steplaw.stability is not None
    assert found.stability is not None
    where = ASK | {"lr": found.optimum[0], "batch": found.optimum[1]}
    expected = steplaw.stability.probability(where)
    assert found.stability["probability"] == pytest.approx(float(expected))
    octaves = found.stability["octaves_to_edge"]
    assert octaves is not None
    assert octaves > 0
    moved = where | {"lr": where["lr"] * 2**octaves}
    assert steplaw.stability.probability(moved) == pytest.approx(0.05)
    choice = steplaw.regret(**ASK, lr=0.02, batch=5e5)
    assert choice.stability is not None
    expected = steplaw.stability.probability(ASK | {"lr": 0.02, "batch": 5e5})
    assert choice.stability["probability"] == pytest.approx(float(expected))


def test_a_fit_that_cannot_tell_stability_says_null(bare: Fit) -> None:
    document = replace(bare, stability=None).plateau(**ASK).to_json()
    assert document["stability"] is None
    assert bare.stability is not None
    flat = replace(bare.stability, slope=(0.0, *bare.stability.slope[1:]))
    stability = replace(bare, stability=flat).plateau(**ASK).to_json()["stability"]
    assert stability["octaves_to_edge"] is None
    assert 0 < stability["probability"] < 1


@pytest.mark.parametrize("tol", [0.0, -0.1, 2.0, float("nan")])
def test_a_tolerance_is_a_fraction(bare: Fit, tol: float) -> None:
    message = "Expected tol to be a number above 0 and at most 1.*got"
    with pytest.raises(DataError, match=message):
        bare.plateau(**ASK, tol=tol)
    with pytest.raises(DataError, match=message):
        bare.regret(**ASK, lr=1e-3, batch=5e5, tol=tol)


def test_plateau_json_has_the_keys_of_the_contract(steplaw: Fit, bare: Fit) -> None:
    document = steplaw.plateau(**ASK, batch=5e5, lr=1.5e-3).to_json()
    json.dumps(document, allow_nan=False)
    for key, inner in PLATEAU.items():
        assert key in document
        if inner:
            assert document[key].keys() == inner
    for name in ("lr", "batch"):
        extent = document[name]
        octaves = np.log2(extent["high"] / extent["low"])
        assert extent["octaves"] == pytest.approx(octaves)
    assert len(document["contour"]["lr"]) == len(document["contour"]["batch"]) > 60
    document = bare.plateau(**ASK).to_json()
    json.dumps(document, allow_nan=False)
    assert document["interval"] == {
        "level": 0.95,
        "unit": "cells",
    } | dict.fromkeys(EDGES)
    assert document["lr_at_batch"] is document["batch_at_lr"] is None


# ------------------------------------------------------------- regret


def test_the_optimum_has_no_regret(steplaw: Fit) -> None:
    best = steplaw.optimum(**ASK)
    found = steplaw.regret(**ASK, lr=best.lr, batch=best.batch)
    assert 0 <= found.regret < 1e-12
    assert found.loss == pytest.approx(best.loss, rel=1e-14)
    assert found.optimum == (best.lr, best.batch)
    assert found.is_inside
    assert found.probability_inside >= 0.99
    assert 0 <= found.upper < 1e-3


@given(st.floats(-8.5, -4.0), st.floats(11.0, 15.5), st.floats(0.3, 3))
@settings(max_examples=15)
def test_regret_is_the_ratio_of_losses(lr: float, batch: float, size: float) -> None:
    fitted = fit_support.bare(fit_support.bundled())
    where: dict[str, Any] = {"params": 4e8 * size, "tokens": 2e10}
    choice: dict[str, Any] = {
        "lr": float(np.exp(lr)),
        "batch": float(np.exp(batch)),
    }
    found = fitted.regret(**where, **choice, tol=0.01)
    loss = float(fitted.predict(**where, **choice).loss[0])
    least = fitted.optimum(**where).loss
    assert found.loss == pytest.approx(loss, rel=1e-13)
    assert found.regret == pytest.approx(loss / least - 1, abs=1e-13)
    assert found.is_inside == (loss / least - 1 <= 0.01)


def test_regret_of_a_bowl() -> None:
    """Closed form."""
    where: dict[str, Any] = {"params": 3.3e8, "tokens": 1.7e10}
    bowl, fitted = fit_support.BOWL, fit_support.exact()
    off = np.log([3e-3, 2e5]) - bowl.centre(**where)
    found = fitted.regret(**where, lr=3e-3, batch=2e5)
    expected = np.expm1(0.5 * off @ bowl.hessian() @ off)
    assert found.regret == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("choice", [(1.2e-3, 3e5), (3.2e-3, 4.5e5), (1e-2, 1e6)])
def test_the_draws_one_by_one_say_how_sure_it_is(
    steplaw: Fit, choice: tuple[float, float]
) -> None:
    """Each draw asked alone; a surface moved by a step is asked at the step's start."""
    lr, batch = choice
    steplaw = replace(few_draws(steplaw), discrepancy=None)
    found = steplaw.regret(**ASK, lr=lr, batch=batch)
    steps = np.exp(moves_of(steplaw))
    alone = np.array(
        [
            single.regret(**ASK, lr=lr / by[0], batch=batch / by[1]).regret
            for single, by in zip(draws_of(steplaw), steps, strict=True)
        ]
    )
    assert found.probability_inside == np.mean(alone <= TOL)
    upper = max(np.quantile(alone, 0.95), found.regret)
    excess, t = np.log1p(found.regret), student(0.95, steplaw.fitted_cells - 3)
    sides = np.log1p(upper) - excess, t * steplaw.noise.growth * excess
    expected = np.expm1(excess + np.hypot(*sides))
    assert found.upper == pytest.approx(expected, rel=1e-6)


@cache
def few_draws(fit: Fit) -> Fit:
    """With so many that asking each alone is soon done."""
    return replace(fit, draws=fit.draws[:200])


@cache
def draws_of(fit: Fit) -> list[Fit]:
    """Every draw as a fit."""
    return fit_support.singles(fit)


@cache
def moves_of(fit: Fit) -> np.ndarray:
    """Steps of the draws in (ln lr, ln batch), from optima asked one by one."""

    def place(answer: Optimum) -> np.ndarray:
        return np.log([answer.lr, answer.batch])

    at = place(fit.optimum(**ASK))
    leaves = [place(one.optimum(**ASK)) for one in fit_support.singles(fit, "leaves")]
    draws = np.array([place(one.optimum(**ASK)) for one in draws_of(fit)])
    moves = intervals.moves(at, np.array(leaves), draws)
    assert np.abs(moves).max() > 0.01
    return moves


def test_a_choice_outside_the_box_widens_it(steplaw: Fit) -> None:
    best = steplaw.optimum(**ASK)
    found = steplaw.regret(
        **ASK, lr=best.lr, batch=best.batch, lr_range=(1e-6, best.lr / 4)
    )
    assert 0 <= found.regret < 1e-12
    assert found.loss_min == pytest.approx(best.loss, rel=1e-13)
    assert found.optimum[0] == pytest.approx(best.lr, rel=1e-9)
    assert any("widened to hold it" in text for text in found.context.warnings)
    far = steplaw.regret(**ASK, lr=1e-9, batch=1e3, allow=("small",))
    assert far.regret > 0.01
    assert far.probability_inside == 0
    assert not far.is_inside
    assert sum("widened to hold it" in text for text in far.context.warnings) == 2


def test_regret_json_has_the_keys_of_the_contract(steplaw: Fit, bare: Fit) -> None:
    document = steplaw.regret(**ASK, lr=1e-3, batch=5e5).to_json()
    json.dumps(document, allow_nan=False)
    for key, inner in REGRET.items():
        assert key in document
        if inner:
            assert document[key].keys() == inner
    assert document["interval"]["regret"][0] == 0
    document = bare.regret(**ASK, lr=1e-3, batch=5e5).to_json()
    json.dumps(document, allow_nan=False)
    assert document["interval"]["regret"] is None
    assert document["probability_inside"] is None
