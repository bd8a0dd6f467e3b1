"""Newton over slots: finished problems stop costing, failures keep to themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from surrogate import engine, newton
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


def solve(each: np.ndarray, start: np.ndarray, **more: Any) -> engine.Solution:
    more = {"iterations": 200, "slots": 2} | more
    return engine.minimise(Quartic(), np.zeros(1), each, start, **more)


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
    found = engine.minimise(
        Hill(), np.zeros(1), np.zeros(4), start, iterations=100, slots=4
    )
    assert found.converged.all()
    np.testing.assert_allclose(np.cos(found.theta), -1, atol=1e-9)
    np.testing.assert_allclose(found.cost, 1, atol=1e-9)
