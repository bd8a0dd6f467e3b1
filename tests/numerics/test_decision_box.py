"""Inner boxes: corners inside, as large as brute force finds, of every family."""

from __future__ import annotations

import numpy as np
import pytest
from support.boxes import NAMES, WILD, brute, family_of, question

from surrogate.answers import arrays
from surrogate.answers.decision import boxes
from surrogate.answers.stability_edge import Bounds
from surrogate.families.forms import form
from surrogate.numerics import robust_box

QUESTIONS = 24
LINES = 41


@pytest.mark.parametrize("name", NAMES)
def test_corners_are_inside_and_no_box_of_a_grid_is_larger(name: str) -> None:
    """Brute force: a grid about the box that was found, and one over all."""
    family, cuts = family_of(name), 0
    for seed in range(QUESTIONS):
        theta, s, bounds, level = question(name, seed)
        if abs(level) > WILD:
            continue
        found = boxes.inner(family, theta, s, bounds, level)
        assert found is not None, seed
        area = np.prod(found[:, 1] - found[:, 0])
        corners = np.array([[x, y] for x in found[0] for y in found[1]])
        losses = arrays.log_losses(family, theta[None], arrays.points(corners, s))
        assert (losses[0] <= level).all(), seed
        assert bounds.hold(corners).all(), seed
        cuts += bounds.cut is not None
        wide = (found[:, 1] - found[:, 0])[:, None] * [-0.3, 0.3] + found
        whole = np.stack([bounds.low, bounds.high], axis=1)
        for span in (wide, whole):
            axes = [np.linspace(ends[0], ends[1], LINES) for ends in span]
            mesh = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
            z = arrays.points(mesh, s)
            inside = arrays.log_losses(family, theta[None], z)[0] <= level
            inside &= bounds.hold(mesh)
            assert area >= 0.99 * brute(inside.reshape(LINES, LINES), axes), seed
    assert cuts > QUESTIONS / 4


def draws_of(name: str, seed: int) -> tuple[np.ndarray, np.ndarray, Bounds, np.ndarray]:
    """So many thetas near one, with the levels of their plateaus."""
    theta, s, bounds, level = question(name, seed)
    rng = np.random.default_rng([seed, 7])
    family = family_of(name)
    least = arrays.minima(
        family, theta[None], s, bounds.low, bounds.high, bounds.cut
    ).value[0]
    thetas = theta * (1 + 0.02 * rng.normal(size=(60, len(theta))))
    values = arrays.minima(family, thetas, s, bounds.low, bounds.high, bounds.cut).value
    return thetas, s, bounds, values + (level - least)


@pytest.mark.parametrize("name", ["posynomial", "bowl"])
@pytest.mark.parametrize("probability", [0.6, 0.9])
def test_robust_box_is_inside_in_the_same_draws(name: str, probability: float) -> None:
    family, some = family_of(name), 0
    for seed in range(12):
        thetas, s, bounds, limits = draws_of(name, seed)
        moves = np.random.default_rng(seed).normal(size=(60, 2)) * 0.02
        edges = np.repeat(np.stack([bounds.low, bounds.high], 1)[None], 60, axis=0)
        drawn = boxes.Drawn(family, thetas, s, limits, moves, edges)
        found = boxes.robust(drawn, bounds, probability)
        if found is None:
            continue
        some += 1
        needed = robust_box.needed(60, probability)
        held = np.ones(60, bool)
        for x in found[0]:
            for y in found[1]:
                at = np.array([x, y]) - moves
                surfaces = form(family, thetas, s)
                held &= surfaces.value(at[:, 0], at[:, 1]) <= limits
                assert bounds.hold(np.array([[x, y]]))[0]
        assert held.sum() >= needed
        wide = (found[:, 1] - found[:, 0])[:, None] * [-0.25, 0.25] + found
        axes = [np.linspace(ends[0], ends[1], 29) for ends in wide]
        losses = form(family, thetas, s).on_grid(
            axes[0] - moves[:, :1], axes[1] - moves[:, 1:]
        )
        mesh = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
        is_held = bounds.hold(mesh).reshape(29, 29)
        inside = np.moveaxis(losses <= limits[:, None, None], 0, -1)
        inside &= is_held[..., None]
        i, j = np.triu_indices(29, 1)
        both = inside[i] & inside[j]
        counts = np.stack([(part[i] & part[j]).sum(axis=-1) for part in both])
        areas = np.outer(axes[0][j] - axes[0][i], axes[1][j] - axes[1][i])
        most = np.where(counts >= needed, areas, 0.0).max()
        assert np.prod(found[:, 1] - found[:, 0]) >= 0.99 * most, (seed, probability)
    assert some >= 6


def test_widest_interval_of_a_share_of_intervals_is_that_of_brute_force() -> None:
    rng = np.random.default_rng(3)
    for count in (1, 2, 7, 20):
        edges = np.sort(rng.normal(size=(count, 2)) * [[1, 2]], axis=1)
        for probability in (0.3, 0.9):
            needed = robust_box.needed(count, probability)
            best = 0.0
            for low in edges[:, 0]:
                for high in edges[:, 1]:
                    held = (edges[:, 0] <= low) & (edges[:, 1] >= high)
                    best = max(best, (high - low) * (held.sum() >= needed))
            found = robust_box.interval(edges, probability)
            assert (0.0 if found is None else found[1] - found[0]) == best
