"""The robust plateau against brute force: chords of every draw, their ends in order.

Draws are quadratics moved from an exact one, so what one of them holds along a line of
lr is an interval in closed form, and the share of draws changes at its ends alone.
"""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
from support import fit as fit_support

from surrogate.answers import Fit, Plateau
from surrogate.base.errors import DataError
from surrogate.fitting import intervals
from surrogate.fitting.stability import Stability

ASK: dict[str, Any] = {"params": 3.3e8, "tokens": 1.7e10}
TOL = 0.0025
# What the extents are promised to [ln].
FINE = 1e-3 * np.log(2)
CELLS = 14
# So that nothing is cut by the box.
BOX: dict[str, Any] = {"lr_range": (1e-5, 0.5), "batch_range": (1e4, 2e8)}


def shifted(theta: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The quadratic moved by a step in u = (z_1, z_2), of four coordinates z."""
    form = np.zeros((4, 4))
    form[np.triu_indices(4)] = theta[5:]
    form = form + form.T
    by = np.array([*step, 0.0, 0.0])
    moved = theta.copy()
    moved[0] += 0.5 * by @ form @ by - theta[1:5] @ by
    moved[1:5] -= form @ by
    return moved


def with_draws(
    steps: np.ndarray,
    leaves: np.ndarray | None = None,
    curved: np.ndarray | None = None,
) -> Fit:
    """The exact bowl with draws moved by steps [ln], their curvature times a factor."""
    exact = fit_support.exact()
    scale = exact.features.u_scale
    thetas = np.array([shifted(exact.theta, step / scale) for step in steps])
    if curved is not None:
        # About the common centre first, or the optimum would move too.
        thetas = np.array(
            [
                shifted(scaled(exact, factor), step / scale)
                for step, factor in zip(steps, curved, strict=True)
            ]
        )
    off = np.zeros((0, 2)) if leaves is None else leaves
    few = [shifted(exact.theta, step / scale) for step in off]
    none = np.zeros((0, exact.family.size))
    return replace(exact, draws=thetas, leaves=np.array(few) if few else none)


def scaled(fit: Fit, factor: float) -> np.ndarray:
    """Curvature in u times a factor; a centre that depends on no scale is kept so."""
    theta = fit.theta.copy()
    # All that holds u: slopes and products, so the whole penalty is times the factor.
    pairs = np.stack(np.triu_indices(4), axis=1)
    in_u = np.concatenate([[False, True, True, False, False], (pairs < 2).any(axis=1)])
    theta[in_u] *= factor
    return theta


class Draw(NamedTuple):
    """A plateau in (ln lr, ln batch): off' hessian off <= room about its centre."""

    centre: np.ndarray
    hessian: np.ndarray
    room: float


# Slope in (ln lr, ln batch) and what the product may reach.
Edge = tuple[np.ndarray, float]


def plateaus(fit: Fit, tol: float = TOL) -> list[Draw]:
    """Of every draw, moved as the intervals say; from `optimum` of each alone."""

    def place(one: Fit) -> np.ndarray:
        found = one.optimum(**ASK, **BOX)
        return np.log([found.lr, found.batch])

    leaves = [place(one) for one in fit_support.singles(fit, "leaves")]
    alone = fit_support.singles(fit)
    places = np.array([place(one) for one in alone])
    point = place(fit_support.bare(fit))
    moves = intervals.moves(point, np.array(leaves).reshape(-1, 2), places)
    scale = fit.features.u_scale
    draws = []
    for one, held, move in zip(alone, places, moves, strict=True):
        q = one.theta[5:]
        form = np.array([[2 * q[0], q[1]], [q[1], 2 * q[4]]]) / np.outer(scale, scale)
        centre = place(replace(one, stability=None))
        # An optimum that the edge holds back has the level of its own.
        off = held - centre
        draws.append(Draw(centre + move, form, 2 * np.log1p(tol) + off @ form @ off))
    return draws


def chords(draws: list[Draw], axis: int, at: np.ndarray) -> np.ndarray:
    """What each draw holds along `axis` with the other setting at each of `at`.

    NaN where nothing; [draws, lines, 2].
    """
    found = []
    for draw in draws:
        off = at - draw.centre[1 - axis]
        a, b = draw.hessian[axis, axis], draw.hessian[0, 1] * off
        c = draw.hessian[1 - axis, 1 - axis] * off**2 - draw.room
        with np.errstate(invalid="ignore"):
            root = np.sqrt(b**2 - a * c)
        found.append(draw.centre[axis] + (-b[:, None] + root[:, None] * [-1, 1]) / a)
    return np.array(found)


def shares(draws: list[Draw], points: np.ndarray) -> np.ndarray:
    """Share of the draws that hold each point."""
    off = points[:, None] - np.array([draw.centre for draw in draws])
    form = np.array([draw.hessian for draw in draws])
    value = np.einsum("mdi,dij,mdj->md", off, form, off)
    return np.mean(value <= [draw.room for draw in draws], axis=1)


def brute(
    draws: list[Draw], axis: int, share: float, edge: Edge | None = None
) -> tuple[float, float] | None:
    """Lowest and highest of `axis` that a share of the draws holds, on 6,001 lines."""
    other = 1 - axis
    reach = [np.sqrt(d.room * np.linalg.inv(d.hessian)[other, other]) for d in draws]
    low = min(d.centre[other] - r for d, r in zip(draws, reach, strict=True))
    high = max(d.centre[other] + r for d, r in zip(draws, reach, strict=True))
    at = np.linspace(low, high, 6001)
    spans = chords(draws, axis, at)
    if edge is not None:
        slope, room = edge
        end = (room - slope[other] * at) / slope[axis]
        spans = np.where(spans[..., :1] <= end[:, None], spans, np.nan)
        spans = np.minimum(spans, end[:, None])
    need = int(np.ceil(share * len(draws) - 1e-9))
    best = []
    for line in np.moveaxis(spans, 1, 0):
        held = line[np.isfinite(line[:, 0])]
        ends = np.concatenate([held[:, 0], held[:, 1]])
        change = np.repeat([1, -1], len(held))
        # Starts before ends where they meet.
        order = np.lexsort((-change, ends))
        count = np.cumsum(change[order])
        enough = np.flatnonzero(count >= need)
        if enough.size:
            best += [ends[order][enough[0]], ends[order][enough[-1] + 1]]
    return (min(best), max(best)) if best else None


@cache
def spread_out() -> Fit:
    """Draws and leaves about the optimum; draws too narrow in lr, so they are moved."""
    rng = np.random.default_rng(3)
    return with_draws(
        rng.normal(size=(60, 2)) * [0.08, 0.25],
        rng.normal(size=(CELLS, 2)) * [0.05, 0.04],
        np.exp(0.1 * rng.normal(size=60)),
    )


def ask(fit: Fit, probability: float, **more: Any) -> Plateau:
    return fit.plateau(**ASK, **(BOX | more), probability=probability)


def extents(found: Plateau) -> np.ndarray:
    """Ln of the robust extents, lr then batch."""
    assert found.robust is not None
    return np.log(
        [[found.robust[n][side] for side in ("low", "high")] for n in ("lr", "batch")]
    )


def test_extents_are_those_of_all_chords() -> None:
    """Brute force, and what follows from it, at several shares of the draws."""
    fit = spread_out()
    draws = plateaus(fit)
    off = np.array([d.centre for d in draws]) - fit_support.BOWL.centre(**ASK)
    assert np.std(off[:, 0]) > 0.1, "draws are to be moved"
    last = None
    for share in (0.3, 0.5, 0.8):
        found = ask(fit, share)
        assert found.robust is not None
        assert found.robust["probability"] == share
        assert found.robust["pieces"] == 1
        assert found.robust["max_probability"] >= share
        edges = extents(found)
        expected = np.array([brute(draws, axis, share) for axis in (0, 1)])
        np.testing.assert_allclose(edges, expected, rtol=0, atol=FINE)
        # Smaller for a larger share, and never beyond what any draw holds.
        union = np.array([brute(draws, axis, 1e-9) for axis in (0, 1)])
        for outer in (union, last):
            if outer is not None:
                assert (edges[:, 0] >= outer[:, 0] - FINE).all()
                assert (edges[:, 1] <= outer[:, 1] + FINE).all()
        last = edges
        best = np.log(found.optimum)
        if shares(draws, best[None])[0] >= share:
            assert (edges[:, 0] <= best).all()
            assert (best <= edges[:, 1]).all()
    assert shares(draws, fit_support.BOWL.centre(**ASK)[None])[0] > 0.5


def test_draws_that_agree_on_nothing_leave_no_extents() -> None:
    """Four bowls far apart: no setting is in two of them."""
    steps = np.array([[-3.0, 0.0], [3.0, 0.0], [0.0, 4.0], [0.0, -4.0]])
    found = ask(with_draws(steps), 0.5)
    assert found.robust == {
        "probability": 0.5,
        "max_probability": 0.25,
        "lr": None,
        "batch": None,
        "pieces": 0,
    }
    assert found.to_json()["robust"] == found.robust


def test_max_probability_is_what_the_best_setting_reaches() -> None:
    """Brute force: a fine grid of shares."""
    rng = np.random.default_rng(9)
    fit = with_draws(rng.normal(size=(25, 2)) * [0.5, 0.9])
    draws = plateaus(fit)
    centre = fit_support.BOWL.centre(**ASK)
    line = np.linspace(-1.5, 1.5, 401)
    points = np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2)
    most = shares(draws, centre + points).max()
    found = ask(fit, 0.98)
    assert found.robust is not None
    assert 0.3 < most < 0.9
    assert found.robust["max_probability"] == pytest.approx(most, abs=0.041)
    assert found.robust["max_probability"] < 0.98
    assert found.robust["lr"] is None
    at = ask(fit, found.robust["max_probability"])
    assert at.robust is not None
    assert at.robust["lr"] is not None


def test_of_two_pieces_the_nearer_one_is_reported() -> None:
    """Two thirds of the draws to one side, a third to the other, neither near."""
    far = np.array([[-2.2, 0.0], [-2.2, 0.05], [-2.2, -0.05], [3.1, 0.0], [3.1, 0.05]])
    fit = with_draws(far)
    draws = plateaus(fit)
    found = ask(fit, 0.4)
    assert found.robust is not None
    assert found.robust["pieces"] == 2
    assert found.robust["max_probability"] == pytest.approx(0.6)
    mine = [draws[i] for i in range(3)]
    # 0.4 of five draws are two of these three.
    expected = np.array([brute(mine, axis, 2 / 3) for axis in (0, 1)])
    np.testing.assert_allclose(extents(found), expected, rtol=0, atol=FINE)
    other = ask(fit, 0.6)
    assert other.robust is not None
    assert other.robust["pieces"] == 1


def test_a_thin_tip_is_followed_to_its_end() -> None:
    """Two draws share a sliver that is thinner than a step of the grid at its ends."""
    inverse = np.linalg.inv(fit_support.BOWL.hessian())
    width = np.sqrt(2 * np.log1p(TOL) * inverse[0, 0])
    # The third draw makes the grid coarse.
    fit = with_draws(np.array([[-0.9 * width, 0.1], [0.9 * width, 0.1], [3.5, 5.0]]))
    found = ask(fit, 0.6)
    both = plateaus(fit)[:2]
    expected = np.array([brute(both, axis, 1.0) for axis in (0, 1)])
    np.testing.assert_allclose(extents(found), expected, rtol=0, atol=FINE)


def test_moved_draws_stay_in_the_box() -> None:
    """A draw that is moved on past the box holds nothing there."""
    fit = spread_out()
    free = extents(ask(fit, 0.3))
    top = float(np.exp(free[0, 1] - 0.1))
    found = ask(fit, 0.3, lr_range=(1e-5, top))
    assert found.robust is not None
    assert found.robust["lr"]["high"] <= top * (1 + 1e-9)
    assert np.log(found.robust["lr"]["high"]) == pytest.approx(np.log(top), abs=FINE)


def test_the_stability_edge_cuts_the_robust_plateau() -> None:
    """Brute force: chords up to the edge; each draw's level is that within it."""
    fit = spread_out()
    free = extents(ask(fit, 0.5))
    centre = fit_support.BOWL.centre(**ASK)
    # p = 5 % where 8 ln lr + 2.4 ln batch is 0.8 more than at the optimum.
    slope = np.array([8.0, 2.4])
    edge = Stability(
        names=("lr", "batch"),
        centre=tuple(np.exp(centre).tolist()),
        slope=tuple(slope.tolist()),
        intercept=float(np.log(0.05 / 0.95)) - 0.8,
        diverged=50,
        runs=1000,
    )
    cut = replace(fit, stability=edge)
    edges = extents(ask(cut, 0.5))
    draws, line = plateaus(cut), (slope, float(slope @ centre) + 0.8)
    expected = np.array([brute(draws, axis, 0.5, line) for axis in (0, 1)])
    np.testing.assert_allclose(edges, expected, rtol=0, atol=FINE)
    assert edges[0, 1] < free[0, 1] - 0.05


@pytest.mark.parametrize("share", [0.0, 1.0, -0.2, 1.5, float("nan")])
def test_a_probability_is_between_0_and_1(share: float) -> None:
    message = "Expected probability to be a number between 0 and 1.*got"
    with pytest.raises(DataError, match=message):
        fit_support.exact().plateau(**ASK, probability=share)


def test_without_draws_there_is_no_robust_plateau() -> None:
    assert fit_support.exact().plateau(**ASK).to_json()["robust"] is None


def test_of_lr_alone_the_robust_plateau_is_an_interval() -> None:
    """Brute force: intervals of draws asked one by one, their ends in order."""
    # What the law may be wrong by moves draws of the whole, and none asked alone.
    fit = dataclasses.replace(fit_support.lr_alone(), discrepancy=None)
    where: dict[str, Any] = {**ASK, "recipe": "adamw", "batch": 3e5}
    found = fit.plateau(**where, probability=0.8)
    assert found.robust is not None
    assert found.robust["batch"] is None
    spans = np.log([one.plateau(**where).lr for one in fit_support.singles(fit)])
    need = int(np.ceil(0.8 * len(spans)))
    low = np.sort(spans[:, 0])[need - 1]
    high = np.sort(spans[:, 1])[len(spans) - need]
    lr = found.robust["lr"]
    # Ends in order, where all intervals hold the optimum.
    assert spans[:, 0].max() < spans[:, 1].min()
    np.testing.assert_allclose(np.log([lr["low"], lr["high"]]), [low, high], atol=FINE)
