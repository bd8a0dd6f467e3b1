"""Losses and optima of every family by mpmath at 50 digits: formulas, not our code.

Each is written from the docstring of its family, one number at a time, in natural
units; the product is asked through `Fit.predict` and `Fit.optimum`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from surrogate import families, fit
from surrogate.answers import Fit
from surrogate.answers.fit import Fit as FitClass
from surrogate.answers.simulate import simulate
from surrogate.families import Bowl, Curved, Family, Mix, Posynomial, Quadratic

# An extra, which who checks types may lack.
mpmath: Any = importlib.import_module("mpmath")
mp, mpf = mpmath.mp, mpmath.mpf

DIGITS = 50
NAMES = ("quadratic", "additive", "posynomial", "bowl", "mix")
# Cells of the embedded sweep: enough for a mix, few enough for a fit in seconds.
_CELLS = (0, 3, 5, 9, 10, 13, 15)
# Standard deviation of a parameter about the fit, as a share of it, in a question.
_SPREAD = 0.02

Numbers = list[Any]


class Worst(NamedTuple):
    """The largest disagreement over the questions of a family.

    Attributes:
        questions: asked.
        interior: of them, those whose optimum lies inside the box.
        loss: relative, at random settings.
        lowest: relative, of the loss at the optimum.
        settings: of ln lr and ln batch at the optimum.
    """

    questions: int
    interior: int
    loss: float
    lowest: float
    settings: float


@cache
def fitted(name: str) -> Fit:
    """A family on seven cells of the embedded sweep, without draws."""
    runs = simulate(0)
    levels = np.unique(runs.lr_level, return_inverse=True)[1]
    runs = runs.subset(np.isin(runs.cell, _CELLS) & (levels % 2 == 0))
    # An edge of stability would bound the optima: the surfaces alone are compared.
    return replace(fit(runs, family=name, bootstrap=0, backend="numpy"), stability=None)


def guessed(name: str) -> Fit:
    """A family at one of the starts of its search, which costs no fit."""
    base = fitted("quadratic")
    family = families.make(name, base.family.shape, 3)
    if isinstance(family, Quadratic):
        return base
    assert isinstance(family, Curved)
    theta = family.starts(np.random.default_rng(1), 1)[0]
    none = np.zeros((0, family.size))
    return replace(base, family=family, theta=theta, draws=none, leaves=none)


def compare(name: str, questions: int, seed: int = 0, base: Fit | None = None) -> Worst:
    """Ask random questions of a family, its parameters moved at random."""
    rng = np.random.default_rng([seed, NAMES.index(name)])
    base = base or fitted(name)
    low, high = np.log([base.features.fitted[k] for k in ("params", "tokens")]).T
    worst = dict.fromkeys(("loss", "lowest", "settings"), 0.0)
    interior = 0
    with mp.workdps(DIGITS):
        for _ in range(questions):
            moved = base.theta * (1 + _SPREAD * rng.normal(size=base.theta.shape))
            if isinstance(base.family, Mix):
                count = len(base.family.members)
                moved[:count] = rng.dirichlet(np.ones(count))
            asked = replace(base, theta=moved)
            params, tokens = np.exp(rng.uniform(low - 1, high + 2)).tolist()
            found = _one(asked, params, tokens, rng)
            interior += found.pop("interior")
            worst = {key: max(worst[key], found[key]) for key in worst}
    return Worst(questions, interior, **worst)


def _one(
    asked: FitClass, params: float, tokens: float, rng: np.random.Generator
) -> dict[str, Any]:
    surface = exact(asked, params, tokens)
    ranges = np.log([asked.features.fitted[k] for k in ("lr", "batch")])
    lr, batch = np.exp(rng.uniform(ranges[:, 0] - 1, ranges[:, 1] + 1)).tolist()
    told = asked.predict(lr, batch, params, tokens).loss[0]
    off = {"loss": _relative(told, surface(mpf(lr), mpf(batch)))}
    best = asked.optimum(params=params, tokens=tokens)
    at = mpf(best.lr), mpf(best.batch)
    value = surface(*at)
    off |= {"lowest": _relative(best.loss, value), "settings": 0.0, "interior": False}
    if best.status == "ok":
        x = _argmin(surface, at)
        moved = [abs(mpmath.log(a / b)) for a, b in zip(x, at, strict=True)]
        off["settings"] = float(max(moved))
        off["lowest"] = max(off["lowest"], _relative(best.loss, surface(*x)))
        off["interior"] = True
    return off


def _relative(told: float, true: Any) -> float:
    return float(abs(mpf(float(told)) / true - 1))


def _argmin(surface: Callable[..., Any], near: tuple[Any, Any]) -> tuple[Any, Any]:
    """Where the gradient of ln loss over the logarithms vanishes."""

    def log_loss(a: Any, b: Any) -> Any:
        return mpmath.log(surface(mpmath.exp(a), mpmath.exp(b)))

    def slope(a: Any, b: Any) -> list[Any]:
        return [mpmath.diff(log_loss, (a, b), order) for order in ((1, 0), (0, 1))]

    start = [mpmath.log(value) for value in near]
    found = mpmath.findroot(slope, start, tol=mpf(10) ** -40, maxsteps=50)
    return mpmath.exp(found[0]), mpmath.exp(found[1])


def exact(asked: FitClass, params: float, tokens: float) -> Callable[..., Any]:
    """Loss at (lr, batch) by the formula."""
    features = asked.features
    assert features.choices == ("lr", "batch")
    assert len(features.recipes) == 1
    given = {"params": params, "tokens": tokens}
    mean, scale = (list(map(mpf, part)) for part in (features.mean, features.scale))
    theta = [mpf(float(value)) for value in asked.theta]

    def loss(lr: Any, batch: Any) -> Any:
        values = [lr, batch, *(mpf(given[name]) for name in features.givens)]
        z = [
            (mpmath.log(v) - m) / s for v, m, s in zip(values, mean, scale, strict=True)
        ]
        value = _log_loss(asked.family, theta, z[:2], z[2:])
        return mpmath.exp(value + mpf(features.level))

    return loss


def _log_loss(family: Family, theta: Numbers, u: Numbers, s: Numbers) -> Any:
    if isinstance(family, Mix):
        count, start, total = len(family.members), len(family.members), mpf(0)
        for weight, member in zip(theta[:count], family.members, strict=True):
            own = theta[start : start + member.size]
            total += weight * _log_loss(member, own, u, s)
            start += member.size
        return total
    if isinstance(family, Quadratic):
        return _quadratic(family, theta, u, s)
    if isinstance(family, Posynomial):
        return _posynomial(family, theta, u, s)
    assert isinstance(family, Bowl)
    return _bowl(theta, u, s)


def _quadratic(family: Quadratic, theta: Numbers, u: Numbers, s: Numbers) -> Any:
    x = u + s
    terms = [mpf(1), *x]
    for i in range(len(x)):
        for j in range(i, len(x)):
            if not (family.is_additive and i >= len(u)):
                terms.append(x[i] * x[j])
    return sum(t * term for t, term in zip(theta, terms, strict=True))


def _law(theta: Numbers, s: Numbers) -> tuple[Any, Any, Numbers]:
    """E, the sum of A_j S_j^-alpha_j, and what follows in theta."""
    size = 1 + 2 * len(s)
    pairs = zip(theta[1:size:2], theta[2:size:2], s, strict=True)
    powers = [mpmath.exp(a - mpmath.exp(alpha) * x) for a, alpha, x in pairs]
    return mpmath.exp(theta[0]), sum(powers, mpf(0)), theta[size:]


def _dot(left: Numbers, right: Numbers) -> Any:
    return sum((a * b for a, b in zip(left, right, strict=True)), mpf(0))


def _posynomial(family: Posynomial, theta: Numbers, u: Numbers, s: Numbers) -> Any:
    level, powers, rest = _law(theta, s)
    width = 1 + len(u) + len(s)
    rows = [rest[k * width : (k + 1) * width] for k in range(family.terms)]
    pushes = [row[1 : 1 + len(u)] for row in rows]
    # Of the third term the logarithms of how much of the first two it is minus.
    weights = [mpmath.exp(w) for w in pushes[len(u)]]
    first = pushes[: len(u)]
    pushes[len(u)] = [-_dot(weights, [p[i] for p in first]) for i in range(len(u))]
    total = level + powers
    for row, push in zip(rows, pushes, strict=True):
        total += mpmath.exp(row[0] + _dot(push, u) + _dot(row[1 + len(u) :], s))
    return mpmath.log(total)


def _bowl(theta: Numbers, u: Numbers, s: Numbers) -> Any:
    level, powers, rest = _law(theta, s)
    gamma = mpf(1)
    if len(s) >= 2:
        gamma, rest = mpmath.exp(rest[0]), rest[1:]
    floor = mpmath.log(level + powers**gamma)
    width = 1 + len(s)
    height = mpmath.exp(rest[0] + _dot(rest[1:width], s))
    rest = rest[width:]
    off = []
    for value in u:
        off.append(value - rest[0] - _dot(rest[1:width], s))
        rest = rest[width:]
    pushes = [rest[k * len(u) : (k + 1) * len(u)] for k in range(len(u))]
    weights = [mpmath.exp(w) for w in rest[len(u) ** 2 : len(u) ** 2 + len(u)]]
    last = [-_dot(weights, [p[i] for p in pushes]) for i in range(len(u))]
    total = sum(weights) + 1
    walls = zip([*weights, mpf(1)], [*pushes, last], strict=True)
    rise = sum(w / total * mpmath.exp(_dot(a, off)) for w, a in walls)
    return floor + height * (rise - 1)
