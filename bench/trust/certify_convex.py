"""Fits and optima by CVXPY with Clarabel: the same problems, other people's solvers.

A quadratic's fit is a least-squares problem with a semidefinite constraint; the best
setting of a posynomial is a geometric program (Boyd et al. 2007).
"""

from __future__ import annotations

import importlib
import warnings
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from surrogate.answers import Fit, simulate
from surrogate.data.coordinates import Features, Rows
from surrogate.families import Posynomial, Quadratic, Shape, forms
from surrogate.families.quadratic import EPS
from surrogate.fitting import irls
from surrogate.numerics.minimum import lowest
from surrogate.numerics.numpy_backend import least_squares
from trust.certify_exact import fitted, guessed

# An extra, which who checks types may lack.
cp: Any = importlib.import_module("cvxpy")
# Of Clarabel's stopping rules; the optimum is known to the root of it.
_TIGHT = {f"tol_{name}": 1e-13 for name in ("gap_abs", "gap_rel", "feas")}
_QUIET = "Solution may be inaccurate"


class Apart(NamedTuple):
    """Largest differences.

    Attributes:
        problems: compared.
        bound: of them, where the semidefinite constraint, or a bound of the box, holds.
        loss: of ln loss: of the rows, or at the optimum.
        settings: of ln lr and ln batch of optima inside the box.
    """

    problems: int
    bound: int
    loss: float
    settings: float


def _solve(problem: Any, **how: Any) -> None:
    with warnings.catch_warnings():
        # At these tolerances it says that it may have stopped a digit early.
        warnings.filterwarnings("ignore", message=_QUIET)
        problem.solve(solver=cp.CLARABEL, **_TIGHT, **how)
    assert problem.status in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE), problem.status


def quadratic_fits(tables: int, places: int = 20) -> Apart:
    """Fit as many tables, in half of which convexity has to be enforced."""
    family = Quadratic(Shape(2, 2, 0))
    loss = settings = 0.0
    bound = 0
    for seed in range(tables):
        rows, box = _table(seed, is_saddle=bool(seed % 2))
        ones = np.ones((1, len(rows.target)))
        ours = irls.estimate(family, rows, ones, box)
        theta = ours.solution.theta[0]
        theirs = _fit(family, rows, ours.weights[0])
        columns = least_squares.features(family, rows.z)
        loss = max(loss, float(np.abs(columns @ (theta - theirs)).max()))
        bound += int(_is_bound(family, theta))
        s = np.random.default_rng(seed).normal(size=(places, 2))
        at = [_minimum(family, t, s, box) for t in (theta, theirs)]
        inside = ~(at[0].at_bound | at[1].at_bound).any(axis=1)
        if inside.any() and not _is_bound(family, theta):
            settings = max(settings, float(np.abs(at[0].u - at[1].u)[inside].max()))
    return Apart(tables, bound, loss, settings)


def _table(seed: int, *, is_saddle: bool) -> tuple[Rows, np.ndarray]:
    """A sweep of 12 cells of 30 runs, or one whose loss bends down along lr."""
    rng = np.random.default_rng(seed)
    runs = simulate.simulate(seed)
    features = Features.of(runs)
    rows, box = features.rows(runs), features.box()
    if is_saddle:
        bend = 0.02 * rows.z[:, 0] ** 2 - 0.004 * rng.uniform(1, 3) * rows.z[:, 1] ** 2
        noise = 0.001 * rng.normal(size=len(bend))
        rows = rows._replace(target=bend - 0.05 * rows.z[:, 2] + noise)
    return rows, box


def _fit(family: Quadratic, rows: Rows, weights: np.ndarray) -> np.ndarray:
    """Minimise weighted squares and the prior over thetas whose u-block is >= EPS I."""
    columns = least_squares.features(family, rows.z)
    root, prior = np.sqrt(weights), family.prior
    design = np.vstack([root[:, None] * columns, np.diag(np.sqrt(prior.precision))])
    right = np.append(root * rows.target, np.sqrt(prior.precision) * prior.centre)
    q, r = np.linalg.qr(design)
    # About the unbound solution, in units in which the cost is a sum of squares.
    free = np.linalg.solve(r, q.T @ right)
    off = cp.Variable(family.size)
    inverse = np.linalg.inv(r)
    theta = free[family.bound] + inverse[family.bound] @ off
    block = cp.bmat([[2 * theta[0], theta[1]], [theta[1], 2 * theta[2]]])
    problem = cp.Problem(cp.Minimize(cp.norm(off)), [block >> EPS * np.eye(2)])
    _solve(problem)
    return free + inverse @ np.asarray(off.value)


def _is_bound(family: Quadratic, theta: np.ndarray) -> bool:
    a, b, c = theta[family.bound]
    return float(np.linalg.eigvalsh([[2 * a, b], [b, 2 * c]])[0]) < 2 * EPS


def _minimum(family: Any, theta: np.ndarray, s: np.ndarray, box: np.ndarray) -> Any:
    start = np.zeros((len(s), 2))
    return lowest(forms.form(family, theta[None], s), start, *box)


def posynomial_optima(
    questions: int, seed: int = 0, *, is_quick: bool = False
) -> Apart:
    """Ask as many questions of posynomials, parameters moved at random."""
    rng = np.random.default_rng(seed)
    base = (guessed if is_quick else fitted)("posynomial")
    low, high = np.log([base.features.fitted[k] for k in ("params", "tokens")]).T
    loss = settings = 0.0
    bound = 0
    for _ in range(questions):
        moved = base.theta * (1 + 0.02 * rng.normal(size=base.theta.shape))
        asked = replace(base, theta=moved)
        params, tokens = np.exp(rng.uniform(low - 1, high + 2)).tolist()
        best = asked.optimum(params=params, tokens=tokens)
        lr, batch, least = _program(asked, params, tokens)
        loss = max(loss, abs(float(np.log(best.loss / least))))
        if best.status != "ok":
            bound += 1
            continue
        off = np.log([best.lr / lr, best.batch / batch])
        settings = max(settings, float(np.abs(off).max()))
    return Apart(questions, bound, loss, settings)


def _program(asked: Fit, params: float, tokens: float) -> tuple[float, float, float]:
    """Lr, batch and loss by a geometric program in lr and batch over their centres."""
    family, features = asked.family, asked.features
    assert isinstance(family, Posynomial)
    given = features.given(
        np.array([params]), np.array([tokens]), {}, np.array([features.recipes[0]])
    )
    group = forms.form(family, asked.theta[None], given).groups[0]
    terms = np.stack([group.constant, group.of_x, group.of_y])[:, :, 0].T
    # What does not depend on lr and batch moves no optimum, and costs digits.
    moves = (terms[:, 1:] != 0).any(axis=1)
    floor = float(np.exp(terms[~moves, 0]).sum())
    box = np.exp(features.box())
    x, y = cp.Variable(pos=True), cp.Variable(pos=True)
    total = cp.sum(
        cp.hstack([np.exp(c) * x**a * y**b for c, a, b in terms[moves].tolist()])
    )
    limits = [x >= box[0, 0], x <= box[1, 0], y >= box[0, 1], y <= box[1, 1]]
    problem = cp.Problem(cp.Minimize(total), limits)
    _solve(problem, gp=True)
    u = np.log([float(x.value), float(y.value)])
    lr, batch = features.from_u(u)
    least = (floor + float(problem.value)) * float(np.exp(features.level))
    return float(lr), float(batch), least
