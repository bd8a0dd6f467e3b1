"""Fits in NumPy against the JAX that they stand for, function by function."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surrogate.data.coordinates import Rows
from surrogate.families import (
    Bowl,
    Family,
    Mix,
    Posynomial,
    Quadratic,
    Shape,
    forms,
)
from surrogate.fitting import irls
from surrogate.numerics import row_weights
from surrogate.numerics.least_squares import solve
from surrogate.numerics.numpy_backend import curved, least_squares
from surrogate.numerics.numpy_backend.cholesky import solve_spd
from surrogate_kernels import dispatch, ref

# The solver sets its own floats in any case.
pytestmark = pytest.mark.once
SHAPES = (
    Shape(1, 1, 0),
    Shape(2, 2, 3),
    Shape(2, 0, 2),
    Shape(1, 2, 1),
    Shape(2, 3, 0),
)


def curved_families(shape: Shape) -> list[Bowl | Posynomial]:
    return [Bowl(shape).with_cells(5), Posynomial(shape, 4)]


def problem(
    family: Family, rows: int = 40, problems: int = 6, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Random z, target, weights and thetas of a family."""
    rng = np.random.default_rng(seed)
    choices, scales, offsets = family.shape
    recipe = np.eye(offsets + 1)[rng.integers(0, offsets + 1, rows)][:, 1:]
    z = np.concatenate([rng.normal(size=(rows, choices + scales)), recipe], axis=1)
    weights = rng.uniform(0, 1e4, size=(problems, rows))
    cells = getattr(family, "cells", 0)
    if cells:
        z = np.concatenate([z, np.eye(cells)[rng.integers(0, cells, rows)]], axis=1)
        copies = rng.integers(1, 4, (problems, cells)).astype(np.float64)
        weights = np.concatenate([weights, copies], axis=1)
    if isinstance(family, Bowl | Posynomial):
        theta = family.starts(rng, problems)
    else:
        theta = 0.1 * rng.normal(size=(problems, family.size))
    return z, 0.1 * rng.normal(size=rows), weights, theta


def there_of(family: Any, *arrays: np.ndarray) -> ref.NormalEquations:
    """Normal equations by JAX; compiled roughly, which takes a second and not ten."""
    rough = {"xla_backend_optimization_level": 0}

    def equations(*arrays: Any) -> ref.NormalEquations:
        return family.normal_equations(*arrays, dispatch.BATCHED["xla"])

    return jax.jit(equations, compiler_options=rough)(*map(jnp.asarray, arrays))


@pytest.mark.parametrize("shape", SHAPES)
def test_normal_equations_are_those_of_jax(shape: Shape) -> None:
    for family in curved_families(shape):
        z, target, weights, theta = problem(family)
        model = curved.Model(family, z, target, weights)
        v = model.to_solver(theta)
        np.testing.assert_allclose(model.from_solver(v), theta, atol=1e-12)
        with jax.enable_x64(True):
            there = jax.vmap(family.to_solver)(jnp.asarray(theta))
            asked = there_of(family, v, z, target, weights)
        np.testing.assert_allclose(v, np.asarray(there), atol=1e-12)
        found = model.normal_equations(v, np.arange(len(v)))
        for one, other in zip(found, asked, strict=True):
            size = np.abs(np.asarray(other)).max()
            np.testing.assert_allclose(one, np.asarray(other), atol=1e-12 * size)


def test_equal_scales_are_computed_once_and_give_the_same() -> None:
    family = Bowl(Shape(2, 2, 3)).with_cells(5)
    z, target, weights, theta = problem(family)
    place = np.arange(len(z)) % 7
    z[:, 2:] = z[place, 2:]
    model = curved.Model(family, z, target, weights)
    assert len(model.rows.begin) == 7
    v = model.to_solver(theta)
    found = model.normal_equations(v, np.arange(len(v)))
    with jax.enable_x64(True):
        asked = there_of(family, v, z, target, weights)
    for one, other in zip(found, asked, strict=True):
        size = np.abs(np.asarray(other)).max()
        np.testing.assert_allclose(one, np.asarray(other), atol=1e-12 * size)


@pytest.mark.parametrize("shape", SHAPES)
def test_sums_in_float32_are_those_in_float64(shape: Shape) -> None:
    # Rounding: eps of float32 (1.2e-7) times some ten operations on the largest number.
    for family in curved_families(shape):
        z, target, weights, theta = problem(family)
        exact = curved.Model(family, z, target, weights)
        rough = curved.Model(family, z, target, weights, np.float32)
        v, which = exact.to_solver(theta), np.arange(len(theta))
        pairs = zip(
            rough.normal_equations(v, which),
            exact.normal_equations(v, which),
            strict=True,
        )
        for one, other in pairs:
            assert one.dtype == np.float64
            np.testing.assert_allclose(one, other, atol=3e-6 * np.abs(other).max())
            assert np.abs(one - other).max() > 0


def test_after_steps_in_float32_the_cost_is_that_of_float64() -> None:
    family = Bowl(Shape(2, 2, 0))
    z, target, weights, theta = problem(family)
    found = solve(
        family,
        z,
        target,
        row_weights.given(weights),
        theta,
        bulk=8,
        iterations=0,
        backend="numpy",
    )
    model = curved.Model(family, z, target, weights)
    which = np.arange(len(theta))
    ends, begins = (
        model.normal_equations(model.to_solver(at), which).cost
        for at in (found.theta, theta)
    )
    # Rounding of a sum of 40 rows.
    np.testing.assert_allclose(found.cost, ends, rtol=1e-12)
    assert (found.cost < begins).all()
    assert (found.iterations == 8).all()


def test_systems_solved_and_refused_alike() -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(9, 7, 7))
    matrix = root @ root.transpose(0, 2, 1)
    matrix[4] *= -1
    matrix[5] = np.nan
    # Not definite, though its diagonal is positive.
    matrix[6] = np.eye(7) + 2 * (np.ones((7, 7)) - np.eye(7))
    right = rng.normal(size=(9, 7))
    found = solve_spd(matrix, right)
    with jax.enable_x64(True):
        asked = jax.vmap(ref.solve_spd)(jnp.asarray(matrix), jnp.asarray(right))
    np.testing.assert_allclose(found, np.asarray(asked), rtol=1e-7)
    assert np.isnan(found[[4, 5, 6]]).all()


@pytest.mark.parametrize("shape", [Shape(2, 2, 0), Shape(1, 1, 0), Shape(2, 1, 2)])
@pytest.mark.parametrize("is_additive", [False, True])
def test_linear_fits_are_those_of_jax_projected_or_not(
    shape: Shape, is_additive: bool
) -> None:
    family = Quadratic(shape, is_additive)
    z, target, weights, _ = problem(family, rows=60, problems=40)
    # Of random targets about half are not convex.
    found = least_squares.solve(family, z, target, weights)
    asked = solve(family, z, target, row_weights.given(weights), backend="xla")
    np.testing.assert_allclose(found.v, asked.theta, atol=1e-9)
    np.testing.assert_allclose(found.cost, asked.cost, rtol=1e-10)


def families_of(shape: Shape) -> list[Family]:
    single = [
        Quadratic(shape),
        Quadratic(shape, is_additive=True),
        Posynomial(shape, 3),
        Bowl(shape),
    ]
    return [*single, Mix(shape, tuple(single))]


@pytest.mark.parametrize("shape", SHAPES)
def test_minima_in_the_box_are_those_of_jax(shape: Shape) -> None:
    rng = np.random.default_rng(1)
    for family in families_of(shape):
        thetas = []
        for member in getattr(family, "members", (family,)):
            theta = problem(member, problems=8)[3]
            if isinstance(member, Quadratic):
                theta[:, member.bound] = 0.0
                theta[:, member.bound[[0, -1]]] = rng.uniform(0.01, 0.1, (8, 2))[
                    :, : len(member.bound[[0, -1]])
                ]
            thetas.append(theta)
        theta = thetas[0]
        if isinstance(family, Mix):
            theta = family.join(rng.dirichlet(np.ones(4), 8), thetas)
        z = problem(family)[0]
        s = np.unique(z[:, shape.choices :], axis=0)[:5]
        rows = Rows(z, np.zeros(len(z)), np.zeros(len(z), np.int64), s)
        box = np.array([[-1.5] * shape.choices, [1.2] * shape.choices])
        one, other = (
            irls.evaluate(family, rows, theta, box, backend)
            for backend in ("numpy", "xla")
        )
        np.testing.assert_allclose(one.fitted, other.fitted, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(
            one.cell_minimum, other.cell_minimum, rtol=1e-12, atol=1e-12
        )
        assert one.certified.all()
        # A flat bottom leaves u less sure than the loss there.
        np.testing.assert_allclose(one.cell_u, other.cell_u, atol=2e-5)
        inside = (one.cell_u >= box[0]) & (one.cell_u <= box[1])
        assert inside.all()


@pytest.mark.parametrize(
    "family", [Bowl(Shape(2, 1, 0)), Posynomial(Shape(2, 1, 0), 3)]
)
def test_newton_ends_where_that_of_jax_does(family: Bowl | Posynomial) -> None:
    rng = np.random.default_rng(2)
    truth = family.starts(rng, 1)
    z = rng.normal(size=(80, 3))
    target = forms.log_losses(family, truth, z) + 0.001 * rng.normal(size=80)
    weights = row_weights.given(1e6 * rng.uniform(0.5, 1, (16, 80)))
    theta = truth + 0.05 * rng.normal(size=(16, family.size))
    one, other = (
        solve(family, z, target, weights, theta, iterations=300, backend=backend)
        for backend in ("numpy", "xla")
    )
    assert (one.backend, other.backend) == ("numpy", "xla")
    assert one.converged.all()
    assert other.converged.all()
    np.testing.assert_allclose(one.cost, other.cost, rtol=1e-9)
    np.testing.assert_allclose(one.theta, other.theta, rtol=1e-5, atol=1e-6)


def test_a_problem_does_not_depend_on_the_others() -> None:
    family = Bowl(Shape(2, 1, 0))
    z, target, weights, theta = problem(family, problems=150)
    whole = solve(
        family,
        z,
        target,
        row_weights.given(weights),
        theta,
        iterations=50,
        backend="numpy",
    )
    part = solve(
        family,
        z,
        target,
        row_weights.given(weights[70:90]),
        theta[70:90],
        iterations=50,
        backend="numpy",
    )
    np.testing.assert_allclose(part.theta, whole.theta[70:90], rtol=1e-6, atol=1e-8)
