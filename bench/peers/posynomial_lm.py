"""SciPy's least_squares on the posynomial, residuals and Jacobian in NumPy.

Written from the docstring of the library's family, with none of its code: u = (ln lr,
ln batch) in z[:, :2], scales in z[:, 2:], all standardised. Theta holds ln E; ln A_j
and ln alpha_j a scale; for each further term ln c, two exponents of u and one a scale.
In the third further term the logarithms of two weights w stand for the exponents of u,
which are minus the first two terms' exponents times w.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

# Where coercivity stands among the further terms; two settings are chosen.
BOUND = 2
_USUAL = dict(xtol=1e-10, ftol=1e-10, gtol=1e-10)
_STRICT = dict(xtol=1e-14, ftol=1e-14, gtol=1e-14)


class Problem(NamedTuple):
    """One weighted fit: rows whose squares add, then the prior's.

    Attributes:
        z: standardised (u, s) [n, 2 + scales].
        target: ln loss minus its level [n].
        weights: of the squared residuals [n].
        centre: of the prior [p].
        precision: of the prior [p].
    """

    z: np.ndarray
    target: np.ndarray
    weights: np.ndarray
    centre: np.ndarray
    precision: np.ndarray

    @property
    def scales(self) -> int:
        """Number of scale variables."""
        return self.z.shape[1] - 2


def affine(theta: np.ndarray, scales: int) -> np.ndarray:
    """Coefficients [terms, 1 + 2 + scales] of all terms' logarithms."""
    width, first = 3 + scales, 1 + 2 * scales
    table = np.zeros((1 + scales + (len(theta) - first) // width, width))
    table[0, 0] = theta[0]
    for j in range(scales):
        table[1 + j, 0] = theta[1 + 2 * j]
        table[1 + j, 3 + j] = -np.exp(theta[2 + 2 * j])
    further = table[1 + scales :]
    further[:] = theta[first:].reshape(-1, width)
    further[BOUND, 1:3] = -np.exp(further[BOUND, 1:3]) @ further[:BOUND, 1:3]
    return table


def _chain(theta: np.ndarray, scales: int) -> np.ndarray:
    """Derivative of the table's entries [terms * width] with respect to theta [p]."""
    width, first, lead = 3 + scales, 1 + 2 * scales, 1 + scales
    terms = lead + (len(theta) - first) // width
    chain = np.zeros((terms, width, len(theta)))
    chain[0, 0, 0] = 1.0
    for j in range(scales):
        chain[1 + j, 0, 1 + 2 * j] = 1.0
        chain[1 + j, 3 + j, 2 + 2 * j] = -np.exp(theta[2 + 2 * j])
    for k in range(terms - lead):
        for c in range(width):
            chain[lead + k, c, first + k * width + c] = 1.0
    weight = np.exp(theta[first + BOUND * width + 1 :][:2])
    for c in (1, 2):
        chain[lead + BOUND, c] = 0.0
        for k in range(BOUND):
            at = first + k * width + c
            chain[lead + BOUND, c, at] = -weight[k]
            chain[lead + BOUND, c, first + BOUND * width + 1 + k] = (
                -weight[k] * theta[at]
            )
    return chain.reshape(terms * width, len(theta))


def _shares(theta: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    exponents = x @ affine(theta, x.shape[1] - 3).T
    top = exponents.max(axis=1, keepdims=True)
    parts = np.exp(exponents - top)
    total = parts.sum(axis=1, keepdims=True)
    return (top + np.log(total))[:, 0], parts / total


def _rows(z: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((len(z), 1)), z], axis=1)


def log_losses(theta: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Ln loss relative to the level [n]."""
    return _shares(theta, _rows(z))[0]


class Found(NamedTuple):
    """What MINPACK ended with.

    Attributes:
        theta: parameters [p].
        cost: sum of squares, the prior's included.
        evaluations: of the residuals.
        settled: a tolerance was met before the limit of evaluations.
    """

    theta: np.ndarray
    cost: float
    evaluations: int
    settled: bool


class _Residuals:
    """Residuals and Jacobian, what they share kept from one to the other."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.x = _rows(problem.z)
        self.root = np.sqrt(problem.weights)
        self.stiff = np.sqrt(problem.precision)
        self.at, self.share = np.full_like(problem.centre, np.nan), np.empty(0)

    def value(self, theta: np.ndarray) -> np.ndarray:
        value, self.share = _shares(theta, self.x)
        self.at = theta.copy()
        off = self.root * (value - self.problem.target)
        return np.concatenate([off, self.stiff * (theta - self.problem.centre)])

    def jacobian(self, theta: np.ndarray) -> np.ndarray:
        if not np.array_equal(theta, self.at):
            self.value(theta)
        weighted = self.share * self.root[:, None]
        table = (weighted[:, :, None] * self.x[:, None, :]).reshape(len(self.x), -1)
        rows = table @ _chain(theta, self.problem.scales)
        return np.concatenate([rows, np.diag(self.stiff)])


def residuals(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """Weighted rows, then the prior's [n + p]; their squares sum to the cost."""
    return _Residuals(problem).value(theta)


def jacobian(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """Of `residuals` [n + p, p]."""
    return _Residuals(problem).jacobian(theta)


def solve(problem: Problem, theta0: np.ndarray, *, strict: bool = False) -> Found:
    """MINPACK's lm from one start, at most SciPy's own limit of evaluations, 100 p.

    Args:
        problem: what is fitted.
        theta0: where it starts.
        strict: tolerances of 1e-14 in place of 1e-10.
    """
    from scipy.optimize import least_squares

    rows = _Residuals(problem)
    options: dict[str, Any] = _STRICT if strict else _USUAL
    found = least_squares(
        rows.value,
        theta0,
        jac=rows.jacobian,  # pyright: ignore[reportArgumentType]
        method="lm",
        x_scale="jac",
        **options,
    )
    return Found(found.x, 2 * float(found.cost), int(found.nfev), found.status > 0)


def argmin(theta: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Closed-form argmin in u for three further terms, at scales s [..., scales].

    The gradient in u is a positive combination of three exponent vectors; it vanishes
    where the terms' sizes stand to each other as w_1 : w_2 : 1, which are two linear
    equations in u.
    """
    scales = s.shape[-1]
    table = affine(theta, scales)[1 + scales :]
    assert len(table) == 3, "only three further terms have a closed form"
    log_w = theta[1 + 2 * scales + BOUND * (3 + scales) + 1 :][:2]
    others, last = table[:BOUND], table[BOUND]
    level = log_w - (others[:, 0] - last[0]) - s @ (others[:, 3:] - last[3:]).T
    return level @ np.linalg.inv(others[:, 1:3] - last[1:3]).T


def local(
    theta: np.ndarray, s: np.ndarray, u: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Ln loss at one point, its gradient [2] and Hessian [2, 2] in u."""
    table = affine(theta, len(s))
    exponents = table[:, 0] + table[:, 1:3] @ u + table[:, 3:] @ s
    top = exponents.max()
    share = np.exp(exponents - top)
    total = share.sum()
    share /= total
    gradient = share @ table[:, 1:3]
    off = table[:, 1:3] - gradient
    return float(top + np.log(total)), gradient, off.T @ (share[:, None] * off)


def polish_argmin(theta: np.ndarray, s: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Newton's method on the gradient, from near an optimum that no bound holds."""
    for _ in range(5):
        _, gradient, hessian = local(theta, s, u)
        u = u - np.linalg.solve(hessian, gradient)
    return u


def polish_edge(
    theta: np.ndarray,
    s: np.ndarray,
    along: int,
    edge: float,
    other: float,
    level: float,
) -> float:
    """Newton's method on f = level, df / d other = 0, from near a plateau's edge."""
    u = np.empty(2)
    u[along], u[1 - along] = edge, other
    for _ in range(5):
        value, gradient, hessian = local(theta, s, u)
        matrix = np.stack([gradient, hessian[1 - along]])
        u = u - np.linalg.solve(matrix, [value - level, gradient[1 - along]])
    return float(u[along])
