"""Extents, slices, contour and area: ellipses, SciPy, and a plain brute force."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, optimize
from support.surfaces import (
    bowl,
    draw_bowl,
    draw_terms,
    solved,
    stacked,
    terms,
    value,
)

from surrogate.base.errors import DataError
from surrogate.numerics import argmin, plateau, plateau_edges

TOL = 0.0025
LN2 = np.log(2.0)
FREE = np.full(2, 60.0)


class Answers:
    """Everything about one problem's plateau, in NumPy."""

    def __init__(
        self,
        log_loss: argmin.LogLoss,
        theta: Any,
        s: np.ndarray,
        lo: np.ndarray,
        hi: np.ndarray,
        tol: float = TOL,
    ) -> None:
        self.minimum = solved(log_loss, theta, 0.5 * (lo + hi), s, lo, hi)
        self.level = float(self.minimum.value) + np.log1p(tol)
        self._problem = log_loss, theta
        self._region = argmin.Place(s, lo, hi), self.level
        self.found: plateau.Extents = self._numpy(plateau.extents, self.minimum)

    def _numpy(self, answer: Any, *what: Any, **options: Any) -> Any:
        result = answer(*self._problem, *what, *self._region, **options)
        return jax.tree.map(np.asarray, result)

    def contour(self, points: int = 128) -> plateau.Contour:
        return self._numpy(plateau.contour, self.found, points=points)

    def area(self) -> float:
        return float(self._numpy(plateau.area_octaves2, self.found))

    def slice(self, i: int, at: float) -> plateau.Slice:
        return self._numpy(plateau.slice_extents, i, at)


def unit_bowl(a: float, b: float, rho: float, centre: Any = (0.0, 0.0)) -> Any:
    """Floor 1 and the Hessian whose inverse has deviations a, b, correlation rho."""
    spread = np.array([[a * a, rho * a * b], [rho * a * b, b * b]])
    return (
        np.array(1.0),
        np.array(centre, float),
        np.zeros((2, 0)),
        np.linalg.inv(spread),
    )


NONE = np.zeros(0)
RADIUS = np.sqrt(2.0 * np.log1p(TOL))
"""Of a bowl's plateau, in its own deviations."""


@pytest.mark.parametrize("rho", [0.0, 0.9, -0.9999])
def test_an_ellipse_has_its_closed_form_extents(rho: float) -> None:
    a, b, centre = 9.0, 0.7, np.array([0.3, -1.7])
    answers = Answers(bowl, unit_bowl(a, b, rho, centre), NONE, -FREE, FREE)
    half = RADIUS * np.array([a, b])
    # Closed form: the rounding of the Hessian over its own conditioning.
    precision = 1e-12 / (1 - rho**2)
    for sign, k in ((-1, 0), (1, 1)):
        np.testing.assert_allclose(
            answers.found.edges[:, k], centre + sign * half, rtol=0, atol=precision
        )
        np.testing.assert_allclose(
            answers.found.other[:, k],
            centre[::-1] + sign * rho * half[::-1],
            rtol=0,
            atol=precision,
        )
    assert not answers.found.is_open.any()


@pytest.mark.parametrize("seed", range(8))
def test_brute_force_finds_the_same_extents(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    theta, s = draw_terms(rng), rng.normal(size=2)
    answers = Answers(terms, theta, s, -FREE, FREE)

    def phi(t: float, i: int) -> float:
        def along(w: float) -> float:
            return value(theta, np.array([t, w] if i == 0 else [w, t]), s)

        middle = float(answers.minimum.u[1 - i])
        best: Any = optimize.minimize_scalar(
            along, bounds=(middle - 40, middle + 40), options={"xatol": 1e-9}
        )
        return best.fun - answers.level

    for i in range(2):
        start = float(answers.minimum.u[i])
        for k, end in ((0, -60.0), (1, 60.0)):
            edge = optimize.brentq(partial(phi, i=i), start, end, xtol=1e-10)
            # phi is flat at its minimiser, so 1e-9 in w is 1e-16 in phi.
            assert float(answers.found.edges[i, k]) == pytest.approx(edge, abs=1e-8)
    assert not answers.found.is_open.any()


@pytest.mark.parametrize("seed", range(12))
def test_scipy_finds_the_same_extents_in_a_tight_box(seed: int) -> None:
    rng = np.random.default_rng(200 + seed)
    theta, s = draw_terms(rng), rng.normal(size=2)
    wide = Answers(terms, theta, s, -FREE, FREE)
    lo = np.asarray(wide.minimum.u) + rng.uniform(-1.5, 0.2, size=2)
    hi = lo + rng.uniform(0.3, 2.0, size=2)
    answers = Answers(terms, theta, s, lo, hi)
    for i in range(2):
        for k, sign in ((0, -1.0), (1, 1.0)):
            other = optimize.minimize(
                lambda u, i=i, sign=sign: -sign * u[i],
                answers.minimum.u,
                method="SLSQP",
                bounds=list(zip(lo, hi, strict=True)),
                constraints={
                    "type": "ineq",
                    "fun": lambda u: answers.level - value(theta, u, s),
                },
                options={"ftol": 1e-14, "maxiter": 500},
            )
            edge = float(answers.found.edges[i, k])
            assert edge == pytest.approx(other.x[i], abs=1e-5)
            bound = (lo, hi)[k][i]
            assert bool(answers.found.is_open[i, k]) == (edge == bound)


def test_the_tight_boxes_above_do_open_some_edges_and_not_others() -> None:
    shares = []
    for seed in range(12):
        rng = np.random.default_rng(200 + seed)
        theta, s = draw_terms(rng), rng.normal(size=2)
        wide = Answers(terms, theta, s, -FREE, FREE)
        lo = np.asarray(wide.minimum.u) + rng.uniform(-1.5, 0.2, size=2)
        shares.append(
            Answers(
                terms, theta, s, lo, lo + rng.uniform(0.3, 2.0, size=2)
            ).found.is_open
        )
    assert 0.1 < np.mean(shares) < 0.9


@pytest.mark.parametrize(
    ("lo", "hi", "low", "high", "is_open"),
    [
        ((0.1, -9), (9, 9), (0.1, -1), (np.sqrt(1.01), 1), [[1, 0], [0, 0]]),
        ((-9, -9), (-0.2, 9), (-np.sqrt(1.04), -1), (-0.2, 1), [[0, 1], [0, 0]]),
        ((0, -9), (9, 9), (0, -1), (1, 1), [[1, 0], [0, 0]]),
        (
            (0.1, 0.2),
            (9, 9),
            (0.1, 0.2),
            (np.sqrt(1.01), np.sqrt(1.04)),
            [[1, 0], [1, 0]],
        ),
        ((-0.5, -0.5), (0.5, 0.5), (-0.5, -0.5), (0.5, 0.5), [[1, 1], [1, 1]]),
    ],
    ids=["outside", "outside above", "on the edge", "corner", "all inside"],
)
def test_a_box_that_cuts_the_plateau_opens_it_there(
    lo: Any, hi: Any, low: Any, high: Any, is_open: Any
) -> None:
    """A round bowl in units of its radius: the level counts from the box's minimum."""
    theta = unit_bowl(1 / RADIUS, 1 / RADIUS, 0.0)
    answers = Answers(bowl, theta, NONE, np.array(lo, float), np.array(hi, float), TOL)
    # f = floor + (RADIUS r)^2 / 2, so that a slack of log1p(TOL) is r = 1.
    np.testing.assert_allclose(answers.found.edges[:, 0], low, rtol=0, atol=1e-12)
    np.testing.assert_allclose(answers.found.edges[:, 1], high, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(answers.found.is_open, np.array(is_open, bool))


def test_one_coordinate_is_an_interval() -> None:
    theta = draw_bowl(np.random.default_rng(1), d=1)
    s = np.array([0.4])
    floor, centre, slope, hessian = theta
    middle = float((centre + slope @ s)[0])
    half = RADIUS / np.sqrt(hessian[0, 0])
    answers = Answers(bowl, theta, s, np.full(1, -99.0), np.full(1, 99.0))
    np.testing.assert_allclose(
        answers.found.edges, [[middle - half, middle + half]], rtol=0, atol=1e-9
    )
    assert float(answers.minimum.value) == pytest.approx(float(floor), rel=1e-14)
    tight = Answers(bowl, theta, s, np.array([middle - half / 2]), np.full(1, 99.0))
    np.testing.assert_array_equal(tight.found.is_open, [[True, False]])
    assert float(tight.found.edges[0, 0]) == middle - half / 2


def test_a_held_coordinate_leaves_the_other_ones_slice() -> None:
    theta = unit_bowl(2.0, 1.0, 0.8)
    lo, hi = np.array([-60.0, 0.01]), np.array([60.0, 0.01])
    answers = Answers(bowl, theta, NONE, lo, hi)
    half = RADIUS / np.sqrt(theta[3][0, 0])
    middle = 0.8 * 2.0 * 0.01
    np.testing.assert_allclose(
        answers.found.edges[0], [middle - half, middle + half], rtol=0, atol=1e-12
    )
    np.testing.assert_array_equal(answers.found.edges[1], [0.01, 0.01])
    assert not answers.found.is_open.any()
    assert answers.area() == 0.0


def test_a_slice_is_the_chord_of_the_ellipse() -> None:
    a, b, rho = 3.0, 0.5, 0.6
    theta = unit_bowl(a, b, rho)
    answers = Answers(bowl, theta, NONE, -FREE, np.array([60.0, 0.02]))
    # At x = t the other coordinate is rho b t / a, give or take the rest.
    for t in (0.0, 0.1, -0.15):
        half = b * np.sqrt((1 - rho**2) * (RADIUS**2 - (t / a) ** 2))
        found = answers.slice(1, t)
        top = rho * b * t / a + half
        np.testing.assert_allclose(
            found.edges, [rho * b * t / a - half, min(top, 0.02)], rtol=0, atol=1e-12
        )
        np.testing.assert_array_equal(found.is_open, [False, top > 0.02])
    half = a * np.sqrt((1 - rho**2) * (RADIUS**2 - (0.01 / b) ** 2))
    middle = rho * a * 0.01 / b
    np.testing.assert_allclose(
        answers.slice(0, 0.01).edges, [middle - half, middle + half], rtol=0, atol=1e-12
    )


@pytest.mark.parametrize(
    ("i", "at"), [(0, 0.9), (1, 3.0), (0, 61.0)], ids=["beside", "beyond", "box"]
)
def test_a_slice_with_nothing_inside_is_nan(i: int, at: float) -> None:
    answers = Answers(bowl, unit_bowl(3.0, 0.5, 0.6), NONE, -FREE, FREE)
    found = answers.slice(i, at)
    assert np.isnan(found.edges).all()
    assert not found.is_open.any()


def test_a_slice_outside_the_box_is_nan_even_where_the_loss_is_low() -> None:
    lo, hi = np.array([-1.0, 0.1]), np.array([1.0, 1.0])
    answers = Answers(bowl, unit_bowl(3.0, 3.0, 0.0), NONE, lo, hi)
    assert np.isfinite(answers.slice(0, 0.15).edges).all()
    assert np.isnan(answers.slice(0, 0.05).edges).all()


@pytest.mark.parametrize("rho", [0.0, 0.95, -0.999])
def test_an_ellipse_is_drawn_evenly_and_measured_exactly(rho: float) -> None:
    a, b, centre = 7.0, 0.4, np.array([1.0, -2.0])
    theta = unit_bowl(a, b, rho, centre)
    answers = Answers(bowl, theta, NONE, -FREE, FREE)
    drawn = answers.contour(points=90)
    away = np.asarray(drawn.u) - centre
    np.testing.assert_allclose(
        np.einsum("pi,ij,pj->p", away, theta[3], away),
        np.full(90, RADIUS**2),
        rtol=1e-9,
    )
    root = np.linalg.cholesky(theta[3])
    angles = np.unwrap(np.arctan2(*(away @ root).T[::-1]))
    np.testing.assert_allclose(np.diff(angles), np.full(89, 2 * np.pi / 90), rtol=1e-6)
    exact = np.pi * RADIUS**2 * a * b * np.sqrt(1 - rho**2) / LN2**2
    assert answers.area() == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize(
    ("lo", "hi"),
    [
        ((0.0, -9.0), (9.0, 9.0)),
        ((0.0, 0.0), (9.0, 9.0)),
        ((0.3, -9.0), (9.0, 9.0)),
        ((-0.5, -0.2), (0.7, 9.0)),
        ((-0.5, -0.4), (0.5, 0.6)),
    ],
    ids=["half", "quarter", "outside", "three sides", "rectangle and more"],
)
def test_a_clipped_ellipse_has_the_area_of_its_slices(lo: Any, hi: Any) -> None:
    theta = unit_bowl(1 / RADIUS, 1 / RADIUS, 0.35)
    lo, hi = np.array(lo), np.array(hi)
    answers = Answers(bowl, theta, NONE, lo, hi)
    (h00, h01), (_, h11) = theta[3]
    slack = 2.0 * (answers.level - 1.0)

    def width(x: float) -> float:
        rest = slack - (h00 - h01**2 / h11) * x**2
        if rest < 0:
            return 0.0
        half = np.sqrt(rest / h11)
        middle = -h01 * x / h11
        return max(min(middle + half, hi[1]) - max(middle - half, lo[1]), 0.0)

    def crosses(y: float) -> list[float]:
        at = np.roots([h00, 2 * h01 * y, h11 * y**2 - slack])
        return [] if np.iscomplexobj(at) else list(at)

    tip = np.sqrt(slack / (h00 - h01**2 / h11))
    xs = [-tip, tip, lo[0], hi[0], *crosses(lo[1]), *crosses(hi[1])]
    kinks = np.unique(np.clip(xs, max(-tip, lo[0]), min(tip, hi[0])))
    exact = sum(
        integrate.quad(width, *ends, epsabs=1e-12)[0] for ends in pairwise(kinks)
    )
    assert answers.area() == pytest.approx(exact / LN2**2, rel=1e-8)


@pytest.mark.parametrize("seed", range(6))
def test_a_contour_lies_on_the_level_or_on_the_box(seed: int) -> None:
    rng = np.random.default_rng(300 + seed)
    theta, s = draw_terms(rng), rng.normal(size=2)
    middle = np.asarray(Answers(terms, theta, s, -FREE, FREE).minimum.u)
    lo, hi = middle + np.array([[-1.0, -0.5], [9.0, 1.5]])
    answers = Answers(terms, theta, s, lo, hi)
    drawn = answers.contour()
    heights = np.array([value(theta, u, s) for u in drawn.u]) - answers.level
    assert np.abs(heights[~drawn.is_open]).max() < 1e-12
    assert np.all(heights < 1e-12)
    on_box = np.min(np.minimum(drawn.u - lo, hi - drawn.u), axis=1)
    np.testing.assert_allclose(on_box[drawn.is_open], 0.0, rtol=0, atol=1e-12)
    # The polygon is inscribed, and short of the area by about 2 pi^2 / 3 / points^2.
    x, y = drawn.u.T
    polygon = 0.5 * np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / LN2**2
    assert answers.area() * 0.99 < polygon < answers.area()
    # The extents enclose it, and are reached to the spacing of the points.
    edges = answers.found.edges
    assert np.all(drawn.u >= edges[:, 0] - 1e-12)
    assert np.all(drawn.u <= edges[:, 1] + 1e-12)
    reach = (drawn.u.max(axis=0) - drawn.u.min(axis=0)) / (edges[:, 1] - edges[:, 0])
    assert np.all(reach > 0.99)


@given(
    st.integers(0, 10**6),
    st.floats(1e-4, 0.2),
    st.floats(1.01, 10.0),
)
def test_a_wider_tolerance_gives_a_wider_plateau(
    seed: int, tol: float, factor: float
) -> None:
    rng = np.random.default_rng(seed)
    theta, s = draw_terms(rng), rng.normal(size=2)
    lo, hi = np.full(2, -3.0), np.full(2, 5.0)
    narrow = Answers(terms, theta, s, lo, hi, tol)
    wide = Answers(terms, theta, s, lo, hi, tol * factor)
    for answers in (narrow, wide):
        assert np.isfinite(answers.found.edges).all()
    assert np.all(narrow.found.edges[:, 0] >= wide.found.edges[:, 0])
    assert np.all(narrow.found.edges[:, 1] <= wide.found.edges[:, 1])
    assert np.all(narrow.found.is_open <= wide.found.is_open)
    assert narrow.area() < wide.area() or narrow.found.is_open.all()
    at = float(rng.uniform(*narrow.found.edges[1]))
    (inner_low, inner_high), _ = narrow.slice(0, at)
    (outer_low, outer_high), _ = wide.slice(0, at)
    assert outer_low <= inner_low <= inner_high <= outer_high
    for u in narrow.contour(points=12).u:
        assert value(theta, u, s) <= wide.level


def test_the_slow_iteration_gives_the_same_extents(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(5)
    theta = stacked([draw_terms(rng) for _ in range(200)])
    theta[0][:] *= rng.uniform(0.3, 6.0, size=(200, 1, 1))
    s = rng.normal(size=(200, 2))
    lo, hi = np.full(2, -4.0), np.full(2, 4.0)
    found = []
    for patience in (0, plateau_edges._PATIENCE):
        monkeypatch.setattr(plateau_edges, "_PATIENCE", patience)

        # A new function, so that nothing compiled for another patience is reused.
        def surface(theta: Any, u: Any, s: Any) -> Any:
            return terms(theta, u, s)

        def one(theta: Any, s: Any, surface: Any = surface) -> plateau.Extents:
            place = argmin.Place(s, lo, hi)
            minimum = argmin.argmin(surface, theta, jnp.zeros(2), place)
            level = minimum.value + jnp.log1p(0.05)
            return plateau.extents(surface, theta, minimum, place, level)

        with jax.enable_x64(True):
            found.append(jax.tree.map(np.asarray, jax.jit(jax.vmap(one))(theta, s)))
    slow, fast = found
    np.testing.assert_allclose(slow.edges, fast.edges, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(slow.is_open, fast.is_open)
    assert 0 < fast.is_open.mean() < 1


# Steep terms on which steps without the promise to halve a bracket run for ever.
KINKED = [
    (
        [[0.8, 0.8], [2.9, 10.1], [14.2, 1.4], [-0.7, 8.4], [16.8, 3.1], [0, 0]],
        [0.5, -3.2, 2.2, 1.6, -1.1, -0.9],
    ),
    (
        [[-8.3, 1.7], [14.5, 1.0], [-2.3, 2.5], [-5.7, -19.0], [-0.6, 3.3], [0, 0]],
        [2.7, -2.2, -0.9, -1.7, -2.7, -1.3],
    ),
    (
        [[1.2, -2.0], [4.6, -20.4], [-9.3, 1.8], [5.7, 2.4], [2.1, 0.5], [0, 0]],
        [0.7, -0.3, 1.7, -0.6, 1.7, -0.5],
    ),
    (
        [[-10.2, -9.6], [-9.4, 2.9], [-7.5, -12.5], [1.9, 5.6], [-12.1, 11.4], [0, 0]],
        [0.4, -1.0, 0.3, -0.6, 1.6, -0.7],
    ),
]


@pytest.mark.parametrize(("of_u", "constants"), KINKED)
def test_steep_kinks_are_not_too_much(of_u: Any, constants: Any) -> None:
    theta = np.array(of_u, float), np.zeros((6, 0)), np.array(constants)
    box = np.full(2, 4.0)
    answers = Answers(terms, theta, NONE, -box, box, 1.0)
    for i in range(2):
        for k in range(2):
            edge = answers.found.edges[i, k]
            held = np.arange(2) == i
            lo, hi = np.where(held, edge, -box), np.where(held, edge, box)
            there = solved(terms, theta, answers.minimum.u, NONE, lo, hi)
            height = float(there.value) - answers.level
            if answers.found.is_open[i, k]:
                assert height <= 0.0
            else:
                assert abs(height) < 1e-12


@pytest.mark.parametrize("bound", [60.0, 0.03], ids=["free", "held by the box"])
def test_a_quadratic_takes_few_steps(
    bound: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def surface(theta: Any, u: Any, s: Any) -> Any:
        return bowl(theta, u, s)

    # The model is the surface: from the minimum one step, and one to see it; where
    # the other coordinate meets its bound on the way, the model knows that too.
    monkeypatch.setattr(plateau_edges, "_MAX_STEPS", 2)
    theta = unit_bowl(3.0, 2.0, 0.9)
    answers = Answers(surface, theta, NONE, -FREE, np.array([60.0, bound]))
    assert np.isfinite(answers.found.edges).all()


def test_a_batch_equals_its_problems_one_by_one_and_a_nan_fails_alone() -> None:
    rng = np.random.default_rng(6)
    count = 1000
    theta = stacked([draw_terms(rng) for _ in range(count)])
    theta[2][17] = np.nan
    s = rng.normal(size=(count, 2))
    lo, hi = np.full(2, -2.0), np.full(2, 3.0)

    def one(theta: Any, s: Any) -> tuple[Any, ...]:
        place = argmin.Place(s, lo, hi)
        minimum = argmin.argmin(terms, theta, np.zeros(2), place)
        level = minimum.value + np.log1p(TOL)
        found = plateau.extents(terms, theta, minimum, place, level)
        problem = terms, theta, found, place, level
        return (
            found,
            plateau.contour(*problem, points=8),
            plateau.area_octaves2(*problem),
            plateau.slice_extents(terms, theta, 0, minimum.u[1], place, level),
        )

    with jax.enable_x64(True):
        batch = jax.tree.map(np.asarray, jax.jit(jax.vmap(one))(theta, s))
        single = jax.jit(one)
        for k in range(count):
            alone = single(tuple(leaf[k] for leaf in theta), s[k])
            for a, b in zip(
                jax.tree.leaves(alone), jax.tree.leaves(batch), strict=True
            ):
                # The least curvature, 1e-5, magnifies rounding in the minimum.
                np.testing.assert_allclose(
                    np.asarray(a, float), np.asarray(b[k], float), rtol=1e-8, atol=1e-8
                )
    # Without a cut there is no line of it.
    rest = batch[0]._replace(line=np.zeros(count)), *batch[1:]
    for leaf in jax.tree.leaves(rest):
        assert np.isfinite(np.delete(leaf, 17, axis=0)).all()
    found, drawn, area, cut = batch
    for answer in (found.edges, drawn.u, area, cut.edges):
        assert np.isnan(answer[17]).all()
    assert not found.is_open[17].any()


def test_a_level_below_the_minimum_has_no_extents() -> None:
    theta = unit_bowl(1.0, 1.0, 0.0)
    place = argmin.Place(NONE, -FREE, FREE)
    minimum = argmin.argmin(bowl, theta, np.zeros(2), place)
    found = plateau.extents(bowl, theta, minimum, place, 0.999)
    assert np.isnan(found.edges).all()
    assert not np.any(found.is_open)


def test_two_points_are_no_contour() -> None:
    answers = Answers(bowl, unit_bowl(1.0, 1.0, 0.0), NONE, -FREE, FREE)
    with pytest.raises(
        DataError, match="at least 3 points for a contour, got points=2"
    ):
        answers.contour(points=2)


@pytest.mark.parametrize("what", ["slice", "contour", "area"])
def test_one_coordinate_has_no_plane(what: str) -> None:
    theta = draw_bowl(np.random.default_rng(7), d=1)
    box = np.full(1, 9.0)
    answers = Answers(bowl, theta, np.zeros(1), -box, box)
    ask = {
        "slice": lambda: answers.slice(0, 0.0),
        "contour": answers.contour,
        "area": answers.area,
    }
    with pytest.raises(DataError, match=f"2 chosen coordinates for a plateau's {what}"):
        ask[what]()
