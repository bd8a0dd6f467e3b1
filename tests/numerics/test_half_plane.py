"""Minimum, extents, slices, contour and area under a half-plane, in closed form.

Surfaces are ellipses: f = (u - m)' H (u - m) / 2, whose minimum on a line, support
points and chords are known.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from surrogate.numerics import argmin, plateau
from surrogate.numerics.half_plane import Cut

NONE = np.zeros(0)
WIDE = np.array([50.0, 50.0])


def ellipse(theta: tuple, u: jax.Array, _: jax.Array) -> jax.Array:
    centre, hessian = theta
    off = u - centre
    return 0.5 * off @ (hessian @ off)


class Case:
    """A random ellipse, level and half-plane; everything in NumPy."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        root = rng.normal(size=(2, 2))
        self.hessian = root @ root.T + 0.05 * np.eye(2)
        self.centre = rng.normal(size=2)
        self.normal = rng.normal(size=2) * np.exp(rng.normal())
        self.tol = float(np.exp(rng.normal()))
        inverse = np.linalg.inv(self.hessian)
        # Half-width of the plateau along the normal.
        self.width = np.sqrt(2 * self.tol * self.normal @ inverse @ self.normal)
        self.bound = float(self.normal @ self.centre + rng.uniform(-1, 1) * self.width)

    def minimum(self) -> np.ndarray:
        beyond = max(self.normal @ self.centre - self.bound, 0.0)
        towards = np.linalg.solve(self.hessian, self.normal)
        return self.centre - towards * beyond / (self.normal @ towards)

    def solved(self, box: np.ndarray = WIDE) -> tuple:
        theta = self.centre, self.hessian
        cut = Cut(jnp.asarray(self.normal), jnp.asarray(self.bound))
        place = argmin.Place(NONE, -box, box, cut)
        least = argmin.argmin(ellipse, theta, np.zeros(2), place)
        return least, theta, place

    def chord(self, level: float) -> np.ndarray | None:
        """Where the edge of the half-plane enters and leaves {f <= level}."""
        unit = self.normal / np.linalg.norm(self.normal)
        origin = unit * self.bound / np.linalg.norm(self.normal)
        along = np.array([-unit[1], unit[0]])
        off = origin - self.centre
        a = along @ self.hessian @ along
        b = along @ self.hessian @ off
        c = off @ self.hessian @ off - 2 * level
        if b**2 - a * c < 0:
            return None
        roots = (-b + np.array([-1, 1]) * np.sqrt(b**2 - a * c)) / a
        return origin + roots[:, None] * along


@pytest.mark.parametrize("seed", range(12))
def test_answers_under_a_cut_are_those_of_the_cut_ellipse(seed: int) -> None:
    case = Case(seed)
    with jax.enable_x64(True):
        least, theta, place = case.solved()
        level = float(least.value) + case.tol
        found = plateau.extents(ellipse, theta, least, place, level)
        area = float(plateau.area_octaves2(ellipse, theta, found, place, level))
        line = plateau.contour(ellipse, theta, found, place, level, points=64)
        slices = [
            np.asarray(
                plateau.slice_extents(
                    ellipse, theta, i, float(least.u[1 - i]), place, level
                ).edges
            )
            for i in (0, 1)
        ]
    np.testing.assert_allclose(least.u, case.minimum(), atol=1e-7)
    assert bool(least.converged)
    assert 0 <= float(least.gap) <= argmin.CERTIFIED_GAP
    is_cut = case.normal @ case.centre > case.bound
    assert bool(least.is_cut) == is_cut
    chord = case.chord(level)
    inverse = np.linalg.inv(case.hessian)
    radius = np.sqrt(2 * level)
    for i in range(2):
        for side, sign in enumerate((-1, 1)):
            reach = sign * inverse[:, i] * radius / np.sqrt(inverse[i, i])
            place = case.centre + reach
            if case.normal @ place > case.bound:
                assert chord is not None
                place = chord[np.argmax(sign * chord[:, i])]
                assert bool(found.is_cut[i, side])
            assert float(found.edges[i, side]) == pytest.approx(place[i], abs=1e-9)
            assert float(found.other[i, side]) == pytest.approx(place[1 - i], abs=1e-5)
    assert not np.asarray(found.is_open).any()
    assert area == pytest.approx(_segment(case, level), rel=1e-9)
    boundary = np.asarray(line.u)
    assert (boundary @ case.normal <= case.bound + 1e-9).all()
    values = 0.5 * np.einsum(
        "ni,ij,nj->n", boundary - case.centre, case.hessian, boundary - case.centre
    )
    on_line = np.isclose(boundary @ case.normal, case.bound, atol=1e-9)
    np.testing.assert_allclose(values[~on_line], level, rtol=1e-8)
    assert (values[on_line] <= level * (1 + 1e-9)).all()
    for i, edges in enumerate(slices):
        for edge in edges:
            place = np.array(least.u)
            place[i] = edge
            on_cut = np.isclose(place @ case.normal, case.bound, atol=1e-7)
            assert on_cut or ellipse_value(case, place) == pytest.approx(
                level, rel=1e-7
            )
            assert place @ case.normal <= case.bound + 1e-7


def ellipse_value(case: Case, u: np.ndarray) -> float:
    return float(0.5 * (u - case.centre) @ case.hessian @ (u - case.centre))


def _segment(case: Case, level: float) -> float:
    """Area [octaves^2] of the ellipse within the half-plane, from the unit disc's."""
    inverse = np.linalg.inv(case.hessian)
    radius = np.sqrt(2 * level)
    width = radius * np.sqrt(case.normal @ inverse @ case.normal)
    h = float(np.clip((case.bound - case.normal @ case.centre) / width, -1, 1))
    disc = np.pi - np.arccos(h) + h * np.sqrt(1 - h * h)
    return disc * radius**2 / np.sqrt(np.linalg.det(case.hessian)) / np.log(2) ** 2


@pytest.mark.parametrize("seed", range(6))
def test_box_and_cut_together_are_as_a_general_solver_finds(seed: int) -> None:
    """Independent: SLSQP, for the minimum and for each support point."""
    case = Case(seed + 100)
    box = np.abs(case.minimum()) + 0.3
    with jax.enable_x64(True):
        least, theta, place = case.solved(box)
        level = float(least.value) + case.tol
        found = plateau.extents(ellipse, theta, least, place, level)
    half = {"type": "ineq", "fun": lambda u: case.bound - case.normal @ u}
    inside = {"type": "ineq", "fun": lambda u: level - ellipse_value(case, u)}
    bounds = list(zip(-box, box, strict=True))

    def best(aim, constraints):
        return optimize.minimize(
            aim,
            np.asarray(least.u),
            bounds=bounds,
            constraints=constraints,
            options={"ftol": 1e-14, "maxiter": 500},
            method="SLSQP",
        )

    lowest = best(lambda u: ellipse_value(case, u), [half])
    assert float(least.value) <= lowest.fun + 1e-9
    for i in range(2):
        for side, sign in enumerate((-1, 1)):
            end = best(lambda u, i=i, sign=sign: -sign * u[i], [half, inside])
            assert sign * float(found.edges[i, side]) == pytest.approx(
                sign * end.x[i], abs=2e-5
            )


def test_a_cut_that_is_met_nowhere_changes_nothing() -> None:
    case = Case(3)
    case.bound = float(case.normal @ case.centre + 5 * case.width)
    with jax.enable_x64(True):
        least, theta, place = case.solved()
        level = float(least.value) + case.tol
        found = plateau.extents(ellipse, theta, least, place, level)
        uncut = place._replace(cut=None)
        free = argmin.argmin(ellipse, theta, np.zeros(2), uncut)
        plain = plateau.extents(ellipse, theta, free, uncut, level)
    assert not bool(least.is_cut)
    assert not np.asarray(found.is_cut).any()
    np.testing.assert_allclose(found.edges, plain.edges, rtol=1e-12)
