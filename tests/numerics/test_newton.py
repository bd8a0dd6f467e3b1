"""Newton over slots: finished problems stop costing, failures keep to themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surrogate.numerics import least_squares, newton
from surrogate_kernels.dispatch import BATCHED_XLA
from surrogate_kernels.ref import NormalEquations

TURNS: list[int] = []


@dataclass(frozen=True)
class Quartic:
    """Cost 1 + sum (v - a)^power: power 4 shrinks by a third a step, 2 in one."""

    def normal_equations(self, v: Any, shared: Any, each: Any) -> NormalEquations:
        """Half of gradient and Hessian; each is [slots, 2]: a and the power."""
        jax.debug.callback(lambda: TURNS.append(1))
        off, power = v - each[:, :1], each[:, 1:]
        slope = 0.5 * power * off ** (power - 1)
        bend = 0.5 * power * (power - 1) * off ** (power - 2)
        return NormalEquations(
            1 + jnp.sum(off**power, axis=1), slope, bend[:, :, None] * jnp.eye(1)[None]
        )

    def solve_spd(self, matrix: Any, right: Any) -> Any:
        """As the library does."""
        return BATCHED_XLA.solve_spd(matrix, right)


def solve(each: np.ndarray, start: np.ndarray, **more: Any) -> least_squares.Solution:
    more = {"iterations": 200, "slots": 2} | more
    return least_squares.minimise(Quartic(), np.zeros(1), each, start, **more)


def problems(slow: list[int], count: int) -> tuple[np.ndarray, np.ndarray]:
    each = np.stack([np.arange(count, dtype=float), np.full(count, 2.0)], axis=1)
    each[slow, 1] = 4.0
    return each, each[:, :1] + 1.5


def test_minima_are_found_whatever_the_slots() -> None:
    # Closed form: v = a. A quartic stops where its cost can fall no further by 1e-10:
    # off^4 / 3 <= 1e-10, so at most 0.0042 away.
    each, start = problems([3, 11], 40)
    for slots in (1, 2, 7):
        found = solve(each, start, slots=slots)
        assert found.converged.all()
        off = np.abs(found.theta[:, 0] - each[:, 0])
        assert off[each[:, 1] == 2].max() < 1e-4
        assert off.max() < 0.0042
        assert (found.cost >= 1).all()


def test_a_finished_problem_stops_costing() -> None:
    # Closed form: two slots share the evaluations, one a step and one at each start; a
    # slot that has nothing left may wait for the other's last problem.
    each, start = problems([0, 8, 16, 24], 32)
    TURNS.clear()
    found = solve(each, start)
    jax.effects_barrier()
    work = int((found.iterations + 1).sum())
    longest = int(found.iterations.max()) + 1
    assert longest > 6
    assert work / 2 <= len(TURNS) <= work / 2 + longest
    # Pairs that wait for each other would take as long as the slower one.
    apart = np.maximum(found.iterations[::2], found.iterations[1::2]) + 1
    assert len(TURNS) < apart.sum()


def test_what_fails_touches_no_other() -> None:
    # Property, to the bit.
    each, start = problems([5], 20)
    whole = solve(each, start)
    start[2], each[9, 0], start[14] = np.nan, np.inf, np.inf
    found = solve(each, start)
    bad = [2, 9, 14]
    assert (found.status[bad] == newton.NOT_FINITE).all()
    good = np.setdiff1d(np.arange(20), bad)
    for part, wanted in zip(found[:5], whole[:5], strict=True):
        np.testing.assert_array_equal(part[good], wanted[good])


def test_a_limit_of_no_steps_reports_the_start() -> None:
    each, start = problems([], 5)
    found = solve(each, start, iterations=0)
    np.testing.assert_array_equal(found.theta, start)
    assert (found.status == newton.LIMIT).all()
    np.testing.assert_allclose(found.cost, 1 + 1.5**2)
    np.testing.assert_allclose(found.decrement, np.sqrt(1.5**2 / (1 + 1.5**2)))


def test_what_is_never_definite_is_stuck_and_touches_no_other() -> None:
    # Property, to the bit. With power 1 the cost is a line: its Hessian is zero, and so
    # is what damping adds.
    each, start = problems([5], 20)
    whole = solve(each, start)
    each[[2, 13], 1] = 1.0
    found = solve(each, start)
    bad, good = [2, 13], np.setdiff1d(np.arange(20), [2, 13])
    assert (found.status[bad] == newton.STUCK).all()
    assert np.isinf(found.decrement[bad]).all()
    np.testing.assert_array_equal(found.theta[bad], start[bad])
    np.testing.assert_array_equal(found.iterations[bad], 0)
    for part, wanted in zip(found[:5], whole[:5], strict=True):
        np.testing.assert_array_equal(part[good], wanted[good])


@pytest.mark.parametrize("slots", [5, 64])
def test_slots_without_a_problem_stand_idle(slots: int) -> None:
    # Property, to the bit, though what follows the first problems would not end well.
    each, start = problems([1], 64)
    start[3:] = np.nan
    TURNS.clear()
    with jax.enable_x64(True):
        found = newton.minimise(
            Quartic(),
            newton.Queue(
                jnp.zeros(1), jnp.asarray(each), jnp.asarray(start), jnp.int32(3)
            ),
            limit=jnp.int32(200),
            tolerance=jnp.asarray(1e-10, start.dtype),
            slots=slots,
        )
    jax.effects_barrier()
    assert len(TURNS) == int(found.steps[:3].max()) + 1
    assert (found.status[:3] == newton.CONVERGED).all()
    np.testing.assert_allclose(found.v[:3], each[:3, :1], atol=0.0042)
    # Nothing was written where there is no problem.
    np.testing.assert_array_equal(found.v[3:], 0)


@dataclass(frozen=True)
class Free(Quartic):
    """Without the constant: the least cost is 0."""

    def normal_equations(self, v: Any, shared: Any, each: Any) -> NormalEquations:
        """Half of gradient and Hessian."""
        at = super().normal_equations(v, shared, each)
        return at._replace(cost=at.cost - 1)


def test_a_perfect_fit_has_nothing_left() -> None:
    # Closed form, exact: the decrement is 0 and not 0 / 0.
    each, _ = problems([], 3)
    start = each[:, :1]
    found = least_squares.minimise(
        Free(), np.zeros(1), each, start, iterations=9, slots=2
    )
    np.testing.assert_array_equal(found.theta, start)
    np.testing.assert_array_equal(found.cost, 0)
    np.testing.assert_array_equal(found.decrement, 0)
    assert found.converged.all()


@dataclass(frozen=True)
class Hill:
    """Cost 2 + cos v: nowhere definite at its top, where Newton alone would stay."""

    def normal_equations(self, v: Any, shared: Any, each: Any) -> NormalEquations:
        """Half of gradient and Hessian."""
        return NormalEquations(
            2 + jnp.cos(v[:, 0]), -0.5 * jnp.sin(v), -0.5 * jnp.cos(v)[:, :, None]
        )

    def solve_spd(self, matrix: Any, right: Any) -> Any:
        """As the library does."""
        return BATCHED_XLA.solve_spd(matrix, right)


def test_from_a_hill_it_goes_down() -> None:
    # Closed form: cos is least at odd multiples of pi; quadratic convergence.
    start = np.array([[0.1], [-0.3], [1.0], [2.0]])
    found = least_squares.minimise(
        Hill(), np.zeros(1), np.zeros(4), start, iterations=100, slots=4
    )
    assert found.converged.all()
    np.testing.assert_allclose(np.cos(found.theta), -1, atol=1e-9)
    np.testing.assert_allclose(found.cost, 1, atol=1e-9)


# ---- a bent valley, differentiated by JAX ---------------------------------------


@dataclass(frozen=True)
class Valley:
    """Rosenbrock's residuals and 1, in coordinates w with v = slope w + shift."""

    def normal_equations(self, v: Any, shared: Any, each: Any) -> NormalEquations:
        """Each is [slots]: where the valley has its floor."""
        slope, shift = shared

        def half_cost(w: Any, floor: Any) -> Any:
            a, b = slope @ w + shift
            return (1 + 100 * (b - a**2) ** 2 + (floor - a) ** 2) / 2

        value, gradient = jax.vmap(jax.value_and_grad(half_cost))(v, each)
        hessian = jax.vmap(jax.hessian(half_cost))(v, each)
        return NormalEquations(2 * value, gradient, hessian)

    def solve_spd(self, matrix: Any, right: Any) -> Any:
        """As the library does."""
        return BATCHED_XLA.solve_spd(matrix, right)


COUNT = 70
RNG = np.random.default_rng(3)
FLOORS = RNG.uniform(0.5, 1.5, COUNT)
STARTS = RNG.normal(size=(COUNT, 2)) + np.array([-1.2, 1.0])
UNCHANGED = np.eye(2), np.zeros(2)


def descend(
    which: Any = slice(None),
    shared: Any = UNCHANGED,
    start: np.ndarray | None = None,
    **more: Any,
) -> least_squares.Solution:
    more = {"iterations": 300, "slots": 4, "tolerance": 1e-24} | more
    start = (STARTS if start is None else start)[which]
    return least_squares.minimise(Valley(), shared, FLOORS[which], start, **more)


# A step that gains under 64 eps of the cost, which is 1, may be refused: what is then
# missing is sqrt(64 eps) times the root of the inverse Hessian's diagonal, 3 at most.
LAST = 3 * np.sqrt(64 * np.finfo(float).eps)


def test_the_end_of_a_valley_is_found_whatever_the_slots() -> None:
    # Closed form: a = floor, b = a^2, cost 1. Iterative; tolerance: a last step.
    wanted = np.stack([FLOORS, FLOORS**2], axis=1)
    for slots in (1, 4, 16, 33):
        found = descend(slots=slots)
        assert found.converged.all()
        np.testing.assert_allclose(found.theta, wanted, rtol=0, atol=LAST)
        np.testing.assert_allclose(found.cost, 1, rtol=1e-13)
        assert found.block == slots * least_squares._TURNS


def test_problems_do_not_depend_on_order_or_company() -> None:
    # Property, to the bit, steps and damping included: a limit stops half on the way.
    everything = descend(iterations=12)
    assert 0 < everything.converged.sum() < COUNT
    order = np.random.default_rng(4).permutation(COUNT)
    for which in (order, order[:3], [41], np.repeat(order[:2], 9)):
        found = descend(which, iterations=12)
        for part, wanted in zip(found[:5], everything[:5], strict=True):
            np.testing.assert_array_equal(part, wanted[which])


def test_other_coordinates_lead_to_the_same_minimum() -> None:
    # Property: affine maps; tolerance: a last step on either side. The decrement at the
    # start does not depend on coordinates either; rounding, times a condition of 2,500.
    shared = np.array([[3.0, -1.0], [20.0, 4.0]]), np.array([0.3, -7.0])
    start = np.linalg.solve(shared[0], (STARTS - shared[1]).T).T
    found, plain = descend(shared=shared, start=start), descend()
    assert found.converged.all()
    np.testing.assert_allclose(
        found.theta @ shared[0].T + shared[1], plain.theta, rtol=0, atol=2 * LAST
    )
    first = descend(shared=shared, start=start, iterations=0).decrement
    wanted = descend(iterations=0).decrement
    np.testing.assert_array_equal(np.isfinite(first), np.isfinite(wanted))
    is_finite = np.isfinite(wanted)
    assert 0 < is_finite.sum() < COUNT
    np.testing.assert_allclose(first[is_finite], wanted[is_finite], rtol=1e-9)


def test_other_units_change_nothing() -> None:
    # Property, to the bit: powers of 2 are exact; damping has each parameter's unit.
    units = np.array([2.0**7, 2.0**-11])
    found = descend(shared=(np.diag(1 / units), np.zeros(2)), start=STARTS * units)
    plain = descend()
    np.testing.assert_array_equal(found.theta / units, plain.theta)
    for part, wanted in zip(found[1:5], plain[1:5], strict=True):
        np.testing.assert_array_equal(part, wanted)


def test_cost_never_rises() -> None:
    # Property, to the bit: a limit stops the same path earlier.
    paths = [descend(iterations=limit) for limit in range(16)]
    costs = np.stack([path.cost for path in paths])
    assert (np.diff(costs, axis=0) <= 0).all()
    # Some steps were refused, and then the point stayed.
    stayed = (np.diff(costs, axis=0) == 0) & (paths[-1].iterations >= 15)
    assert stayed.any()
    for limit, path in enumerate(paths):
        np.testing.assert_array_equal(
            path.iterations, np.minimum(limit, paths[-1].iterations)
        )


@dataclass(frozen=True)
class Line:
    """Least squares of A v - b, b and A shared."""

    def normal_equations(self, v: Any, shared: Any, each: Any) -> NormalEquations:
        """Cost, half of gradient and Hessian."""
        matrix, right = shared
        off = v @ matrix.T - right[None]
        bend = jnp.broadcast_to(matrix.T @ matrix, (len(v), 3, 3))
        return NormalEquations(jnp.sum(off**2, axis=1), off @ matrix, bend)

    def solve_spd(self, matrix: Any, right: Any) -> Any:
        """As the library does."""
        return BATCHED_XLA.solve_spd(matrix, right)


def test_a_perfect_fit_converges() -> None:
    # Planted: what is left of the cost is rounding, so no step lowers it and no share
    # of it tells how near the end is.
    rng = np.random.default_rng(0)
    for _ in range(5):
        matrix, wanted = rng.normal(size=(7, 3)), rng.normal(size=3)
        found = least_squares.minimise(
            Line(),
            (matrix, matrix @ wanted),
            np.zeros((20, 1)),
            rng.normal(size=(20, 3)),
            iterations=100,
            slots=4,
        )
        assert found.converged.all()
        np.testing.assert_allclose(found.theta, wanted[None] + np.zeros((20, 1)))
