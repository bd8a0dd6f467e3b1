"""NIST's nonlinear problems through both of the product's solvers."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from support.nist import FORMULAS, LeastSquares, Problem
from support.numerics import digits, standard_errors
from surrogate.numerics import least_squares
from surrogate.numerics.newton import Minima
from surrogate.numerics.newton_step import CONVERGED
from surrogate.numerics.numpy_backend import damped
from surrogate.numerics.numpy_backend.sums import Normal

# MGH17 needs 2,900 steps from start 1; no other that arrives needs over 1,600.
STEPS = 10_000
TOLERANCE = 1e-22


class Reached(NamedTuple):
    """What one start came to.

    Attributes:
        is_ok: the solver says that it has converged.
        steps: tried.
        theta: fewest digits of a parameter.
        deviation: of a standard error.
        squares: of the residual sum of squares.
    """

    is_ok: bool
    steps: int
    theta: float
    deviation: float
    squares: float


def solve(
    name: str, problem: Problem, start: int, solver: str, tolerance: float = TOLERANCE
) -> Minima:
    """From one start, by `least_squares.minimise` (xla) or `damped` (numpy)."""
    first = problem.starts[[start - 1]]
    model = LeastSquares(FORMULAS[name])
    if solver == "xla":
        found = least_squares.minimise(
            model,
            (problem.x, problem.y),
            (),
            first,
            iterations=STEPS,
            tolerance=tolerance,
            slots=1,
        )
        return Minima(
            found.theta, found.cost, found.decrement, found.status, found.iterations
        )
    rows = jnp.asarray(problem.x), jnp.asarray(problem.y)
    call = jax.jit(partial(model.normal_equations, shared=rows, each=()))

    def equations(v: np.ndarray, _: np.ndarray) -> Normal:
        return Normal(*map(np.array, call(jnp.asarray(v))))

    return damped.minimise(equations, first, limit=STEPS, tolerance=tolerance, slots=1)


def reach(name: str, problem: Problem, start: int, solver: str) -> Reached:
    """Digits that one start reaches."""
    with jax.enable_x64(True):
        found = solve(name, problem, start, solver)
        at = jnp.asarray(found.v[0]), jnp.asarray(problem.x)
        jacobian = np.asarray(jax.jacobian(FORMULAS[name])(*at))
    try:
        error = standard_errors(jacobian, found.cost[0])
    except np.linalg.LinAlgError:
        error = np.full(len(found.v[0]), np.nan)
    return Reached(
        bool(found.status[0] == CONVERGED),
        int(found.steps[0]),
        float(digits(found.v[0], problem.certified).min()),
        float(digits(error, problem.deviation).min()),
        float(digits(found.cost[:1], np.array([problem.squares]))[0]),
    )


def deviation_digits(problem: Problem) -> float:
    """Digits that float64 leaves a standard error, whatever finds the minimum.

    Each y and each sum is rounded; what that adds to a residual, beside the residuals.
    """
    rounding = np.finfo(float).eps * float(np.abs(problem.y).max())
    return float(-np.log10(rounding / np.sqrt(problem.squares / len(problem.y))))
