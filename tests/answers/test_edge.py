"""Answers cut by the stability edge: exact bowls, for which all is closed form."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support import fit as fit_support

from surrogate.answers import Fit, Plateau
from surrogate.base.errors import DataError, Status
from surrogate.fitting.stability import Stability

ASK: dict[str, Any] = {"params": 3.3e8, "tokens": 1.7e10}
BOWL = fit_support.BOWL
CENTRE = BOWL.centre(**ASK)
HESSIAN = BOWL.hessian()
TOL = 0.0025
SLOPE = np.array([6.0, 1.5])
BEYOND = "Everywhere in the box training diverges with more than 5% probability"
ON_EDGE = "The lowest loss within the stability edge lies on it"
# The prior moves what is fitted by 1e-6.
CLOSE = 2e-5


def edge(room: float, p: float = 0.05) -> Stability:
    """Probability p where slope . (x - optimum) = room, x = (ln lr, ln batch)."""
    return Stability(
        names=("lr", "batch"),
        centre=tuple(np.exp(CENTRE).tolist()),
        slope=tuple(SLOPE.tolist()),
        intercept=float(np.log(p / (1 - p))) - room,
        diverged=50,
        runs=1000,
    )


def bowl(room: float, p: float = 0.05) -> Fit:
    return replace(fit_support.exact(), stability=edge(room, p))


def held_back(room: float) -> np.ndarray:
    """The lowest point of the bowl with slope . off <= room < 0: off itself."""
    towards = np.linalg.solve(HESSIAN, SLOPE)
    return towards * room / (SLOPE @ towards)


def chord(room: float, level: float) -> np.ndarray:
    """Where the edge meets {off' H off / 2 = level}: two points, as off."""
    start = SLOPE * room / (SLOPE @ SLOPE)
    along = np.array([-SLOPE[1], SLOPE[0]])
    a, b = along @ HESSIAN @ along, along @ HESSIAN @ start
    c = start @ HESSIAN @ start - 2 * level
    roots = (-b + np.array([-1, 1]) * np.sqrt(b**2 - a * c)) / a
    return start + roots[:, None] * along


def support(room: float, level: float) -> np.ndarray:
    """Extents of the ellipse within the edge, and from which of them are the edge's."""
    inverse = np.linalg.inv(HESSIAN)
    found = []
    for i in range(2):
        for sign in (-1, 1):
            reach = sign * inverse[:, i] * np.sqrt(2 * level / inverse[i, i])
            is_cut = SLOPE @ reach > room
            ends = chord(room, level)[:, i] if is_cut else reach[i : i + 1]
            found.append([ends[np.argmax(sign * ends)], is_cut])
    return np.array(found)


NAMES = ("lr_low", "lr_high", "batch_low", "batch_high")


def ends(found: Plateau) -> np.ndarray:
    return np.log([*found.lr, *found.batch]) - np.repeat(CENTRE, 2)


@pytest.mark.parametrize("room", [-0.7, -2.3])
def test_an_optimum_beyond_the_edge_is_held_back_to_it(room: float) -> None:
    """Closed form: the lowest point of an ellipse on a line."""
    found = bowl(room).optimum(**ASK)
    off = held_back(room)
    np.testing.assert_allclose(
        np.log([found.lr, found.batch]) - CENTRE, off, atol=CLOSE
    )
    floor = BOWL.floor(**ASK) + 0.5 * off @ HESSIAN @ off
    assert np.log(found.loss) == pytest.approx(floor, abs=1e-6)
    # The edge is no bound of the box, and widening that helps nothing.
    assert found.status is Status.ok
    assert [text for text in found.context.warnings if text.startswith(ON_EDGE)]
    assert not any("widen" in text for text in found.context.warnings)
    assert found.certificate.gradient_norm < 1e-8
    assert found.stability is not None
    assert found.stability["probability"] == pytest.approx(0.05, abs=1e-9)
    assert found.stability["octaves_to_edge"] == pytest.approx(0, abs=1e-9)
    assert found.stability["p_max"] == 0.05
    assert found.to_json()["stability"] == found.stability


def test_an_edge_that_does_not_bind_changes_no_optimum() -> None:
    found, free = bowl(1.2).optimum(**ASK), fit_support.exact().optimum(**ASK)
    assert (found.lr, found.batch) == pytest.approx((free.lr, free.batch), rel=1e-9)
    assert not any(text.startswith(ON_EDGE) for text in found.context.warnings)
    assert found.stability is not None
    assert found.stability["octaves_to_edge"] == pytest.approx(
        1.2 / (SLOPE[0] * np.log(2)), abs=1e-4
    )
    assert free.stability is None
    assert free.to_json()["stability"] is None


def test_a_held_batch_leaves_the_lr_of_the_edge() -> None:
    """Closed form: along lr the bowl is a parabola."""
    batch = float(np.exp(CENTRE[1] + 0.3))
    found = bowl(-2.0).optimum(**ASK, batch=batch)
    assert np.log(found.lr) - CENTRE[0] == pytest.approx(
        (-2.0 - SLOPE[1] * 0.3) / SLOPE[0], abs=CLOSE
    )
    assert found.stability is not None
    assert found.stability["probability"] == pytest.approx(0.05, abs=1e-9)
    assert any(text.startswith(ON_EDGE) for text in found.context.warnings)


@pytest.mark.parametrize("room", [1.2, -0.7, 4.0])
def test_a_plateau_ends_at_the_edge(room: float) -> None:
    """Closed form: support points of the ellipse, and its chord on the edge."""
    found = bowl(room).plateau(**ASK)
    off = held_back(room) if room < 0 else np.zeros(2)
    level = np.log1p(TOL) + 0.5 * off @ HESSIAN @ off
    expected = support(room, level)
    np.testing.assert_allclose(ends(found), expected[:, 0], atol=5 * CLOSE)
    assert found.stability is not None
    cuts = [name for name, is_cut in zip(NAMES, expected[:, 1], strict=True) if is_cut]
    assert found.stability["cuts"] == cuts
    assert bool(cuts) == (room < 4)
    assert found.status is Status.ok
    assert found.open_edges == ()
    place = np.log(np.stack([found.contour_lr, found.contour_batch], axis=1)) - CENTRE
    assert (place @ SLOPE).max() <= room + 1e-6
    ellipse = np.pi * 2 * level / np.sqrt(np.linalg.det(HESSIAN)) / np.log(2) ** 2
    x, y = place.T / np.log(2)
    polygon = 0.5 * abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))
    assert found.area_octaves2 == pytest.approx(polygon, rel=2e-3)
    assert (found.area_octaves2 < 0.98 * ellipse) == bool(cuts)
    json.dumps(found.to_json(), allow_nan=False)


def test_a_plateau_within_the_edge_is_that_of_a_grid() -> None:
    """Brute force, refined about each end: losses and risks of points one by one."""
    fit = bowl(0.9)
    found = fit.plateau(**ASK)
    limit = np.log(found.loss_limit)

    def inside(x: np.ndarray) -> np.ndarray:
        lr, batch = np.exp(x.T)
        loss = np.log(fit.predict(lr, batch, **ASK).loss)
        assert fit.stability is not None
        risk = fit.stability.probability({"lr": lr, "batch": batch})
        return (loss <= limit) & (risk <= 0.05)

    def reach(axis: int, sign: int, shrink: int) -> float:
        at, half = CENTRE, np.array([1.5, 1.5])
        for _ in range(20):
            low, high = at - half, at + half
            lines = np.linspace(low, high, 61, axis=1)
            points = np.stack(np.meshgrid(*lines), axis=-1).reshape(-1, 2)
            held = points[inside(points)]
            if not len(held):
                break
            at = held[np.argmax(sign * held[:, axis])]
            half = half / np.where(np.arange(2) == axis, shrink, 2)
        return sign * float(at[axis])

    for axis in (0, 1):
        for side, sign in enumerate((-1, 1)):
            # Across, a round end is known to a root only, a corner as well as along.
            furthest = max(reach(axis, sign, shrink) for shrink in (2, 4))
            end = np.log(found.lr if axis == 0 else found.batch)[side]
            assert sign * end == pytest.approx(furthest, abs=1e-6)


def test_slices_end_at_the_edge() -> None:
    fit = bowl(1.2)
    batch = float(np.exp(CENTRE[1] + 0.2))
    found = fit.plateau(**ASK, batch=batch)
    assert found.lr_at_batch is not None
    top = (1.2 - SLOPE[1] * 0.2) / SLOPE[0]
    assert np.log(found.lr_at_batch[2]) - CENTRE[0] == pytest.approx(top, abs=CLOSE)
    assert np.log(found.lr_at_optimal_batch[1]) - CENTRE[0] == pytest.approx(
        1.2 / SLOPE[0], abs=CLOSE
    )


def test_another_p_max_is_another_edge() -> None:
    """Closed form: logits of the shares apart."""
    more = float(np.log(0.2 / 0.8) - np.log(0.05 / 0.95))
    wide, same = bowl(-0.7).plateau(**ASK, p_max=0.2), bowl(more - 0.7).plateau(**ASK)
    np.testing.assert_allclose(ends(wide), ends(same), atol=1e-9)
    assert wide.stability is not None
    assert same.stability is not None
    assert wide.stability["p_max"] == 0.2
    assert wide.stability["cuts"] == same.stability["cuts"]
    held = bowl(-0.7).optimum(**ASK, p_max=0.02)
    assert held.stability is not None
    assert held.stability["probability"] == pytest.approx(0.02, abs=1e-9)
    assert any("more than 2% probability" in text for text in held.context.warnings)


def test_where_all_is_beyond_the_edge_it_is_left_out_and_told() -> None:
    lost, free = bowl(-60.0), fit_support.exact()
    best, other = lost.optimum(**ASK), free.optimum(**ASK)
    assert (best.lr, best.batch, best.loss) == (other.lr, other.batch, other.loss)
    assert best.context.warnings[0].startswith(BEYOND)
    assert "Lower --lr-range" in best.context.warnings[0]
    assert best.stability is not None
    assert best.stability["probability"] == pytest.approx(1)
    found, other = lost.plateau(**ASK), free.plateau(**ASK)
    assert (found.lr, found.batch) == (other.lr, other.batch)
    assert found.context.warnings[0].startswith(BEYOND)
    assert found.stability is not None
    assert found.stability["cuts"] == []


def test_no_risk_is_known_without_diverged_runs() -> None:
    fit = fit_support.exact()
    assert fit.stability is None
    answers = (
        fit.optimum(**ASK),
        fit.plateau(**ASK),
        fit.regret(**ASK, lr=1e-3, batch=5e5),
    )
    for answer in answers:
        assert answer.to_json()["stability"] is None
        assert not any("diverges" in text for text in answer.context.warnings)


def test_a_slope_of_zero_cuts_nothing() -> None:
    flat = replace(edge(-0.7), slope=(0.0, 1.5))
    found = replace(fit_support.exact(), stability=flat).optimum(**ASK)
    assert np.log(found.lr) == pytest.approx(CENTRE[0], abs=CLOSE)
    assert found.stability is not None
    assert found.stability["octaves_to_edge"] is None


def test_regret_beyond_the_edge_warns_and_is_outside() -> None:
    """The choice is the bowl's own centre: nothing is lost, but it may diverge."""
    fit = bowl(-0.7)
    lr, batch = np.exp(CENTRE).tolist()
    found = fit.regret(**ASK, lr=lr, batch=batch)
    p = 1 / (1 + 19 * np.exp(-0.7))
    assert found.stability is not None
    assert found.stability["probability"] == pytest.approx(p, rel=1e-9)
    text = f"At this setting training diverges with probability {p:.2g}, above 5%"
    assert any(warning.startswith(text) for warning in found.context.warnings)
    assert found.regret == 0.0
    assert not found.is_inside
    off = held_back(-0.7)
    floor = BOWL.floor(**ASK) + 0.5 * off @ HESSIAN @ off
    assert np.log(found.loss_min) == pytest.approx(floor, abs=1e-6)
    # On the edge itself, where the optimum is, all is well.
    best = fit.optimum(**ASK)
    held = fit.regret(**ASK, lr=best.lr, batch=best.batch)
    assert held.is_inside
    assert 0 <= held.regret < 1e-9
    assert not any(w.startswith("At this setting") for w in held.context.warnings)
    # Within the edge the regret is over the best that is stable enough.
    step = off - [0.2, 0.0]
    low = fit.regret(**ASK, lr=lr * np.exp(step[0]), batch=batch * np.exp(step[1]))
    loss = BOWL.floor(**ASK) + 0.5 * step @ HESSIAN @ step
    assert low.regret == pytest.approx(np.expm1(loss - floor), rel=1e-3)


def test_draws_give_no_share_and_no_negative_end_beyond_the_edge() -> None:
    fit = replace(fit_support.quadratic(), stability=edge(-0.7))
    lr, batch = np.exp(CENTRE).tolist()
    found = fit.regret(**ASK, lr=lr, batch=batch)
    assert found.probability_inside == 0.0
    assert found.upper >= 0.0
    stable = replace(fit, stability=None).regret(**ASK, lr=lr, batch=batch)
    assert stable.probability_inside > 0.9


# ------------------------------------------------------------- lr alone


def lr_alone(room: float) -> Fit:
    """The edge where ln lr is so much above its optimum at a batch of 3e5."""
    fit = fit_support.lr_alone()
    best = fit.optimum(**ASK, recipe="adamw", batch=3e5)
    at = Stability(
        names=("lr", "batch"),
        centre=(best.lr, 3e5),
        slope=(6.0, -3.0),
        intercept=float(np.log(0.05 / 0.95)) - 6.0 * room,
        diverged=50,
        runs=1000,
    )
    return replace(fit, stability=at)


ALONE: dict[str, Any] = {**ASK, "recipe": "adamw", "batch": 3e5}


def test_of_lr_alone_the_edge_is_a_bound_but_not_the_box_s() -> None:
    free = fit_support.lr_alone().optimum(**ALONE)
    found = lr_alone(-0.2).optimum(**ALONE)
    assert np.log(found.lr / free.lr) == pytest.approx(-0.2, abs=1e-9)
    assert found.status is Status.ok
    assert any(text.startswith(ON_EDGE) for text in found.context.warnings)
    assert not any("widen" in text for text in found.context.warnings)
    # A batch that the surface does not see moves the edge.
    moved_to: dict[str, Any] = {**ALONE, "batch": 3.3e5}
    other = lr_alone(-0.2).optimum(**moved_to)
    moved = -0.2 + 0.5 * np.log(1.1)
    assert np.log(other.lr / free.lr) == pytest.approx(moved, abs=1e-9)


def test_of_lr_alone_the_plateau_ends_at_the_edge() -> None:
    free = fit_support.lr_alone().plateau(**ALONE)
    found = lr_alone(0.1).plateau(**ALONE)
    assert found.lr[0] == pytest.approx(free.lr[0], rel=1e-9)
    assert np.log(found.lr[1] / found.optimum[0]) == pytest.approx(0.1, abs=1e-9)
    assert found.status is Status.ok
    assert found.open_edges == ()
    assert found.stability is not None
    assert found.stability["cuts"] == ["lr_high"]
    assert found.to_json()["interval"]["lr_high"] is None
    assert found.to_json()["interval"]["lr_low"] is not None
    assert found.robust is not None
    assert found.robust["lr"]["high"] <= found.lr[1] * (1 + 1e-9)
    choice = lr_alone(0.1).regret(**ALONE, lr=found.lr[1] * 1.05)
    assert not choice.is_inside
    assert choice.probability_inside == 0.0


# ------------------------------------------------------------- asked wrongly


@pytest.mark.parametrize("p_max", [0.0, 1.0, -0.1, 5.0, float("nan")])
def test_p_max_is_between_0_and_1(p_max: float) -> None:
    fit = fit_support.exact()
    message = "Expected p_max to be a number between 0 and 1.*got"
    for ask in (
        lambda: fit.optimum(**ASK, p_max=p_max),
        lambda: fit.plateau(**ASK, p_max=p_max),
        lambda: fit.regret(**ASK, lr=1e-3, batch=5e5, p_max=p_max),
    ):
        with pytest.raises(DataError, match=message):
            ask()
