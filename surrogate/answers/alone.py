"""What changing one setting of a choice is worth, the other one staying."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float64

from surrogate.answers import surface
from surrogate.answers.question import Question, Range
from surrogate.answers.solved import Solved, limits
from surrogate.fitting.model import Model

# Points of a line, and how often the place where it crosses the level is closed in on.
_POINTS, _ROUNDS = surface.BLOCK, 4

Inside = Callable[[Float64[np.ndarray, "m choices"]], Bool[np.ndarray, " m"]]


def alone(
    fit: Model,
    question: Question,
    choice: dict[str, float],
    name: str,
    solved: Solved,
    tol: float,
    ends: Range,
) -> dict[str, float] | None:
    """The best value of one setting, the regret then, and the nearest within tol.

    It is looked for between `ends`, stretched to hold the choice. None where the fit
    does not choose that setting. The nearest is NaN where even the
    best is not within tol, or the choice itself is; it is on the stable side.
    """
    names = fit.features.choices
    if name not in names:
        return None
    box = question.box | {n: (choice[n], choice[n]) for n in names if n != name}
    low, high = ends
    box[name] = min(low, choice[name]), max(high, choice[name])
    bounds = limits(fit, question, box, choice)
    # With all thetas, for which the program is compiled already.
    found = surface.minima(
        fit.family, solved.thetas, question.s, bounds.low, bounds.high, bounds.cut
    )
    least = float(solved.minimum.value[0])
    place = fit.features.u_of(choice)
    i = names.index(name)
    mean, scale = fit.features.mean[i], fit.features.scale[i]

    def natural(u: float) -> float:
        return float(np.exp(u * scale + mean))

    level = float(least + np.log1p(tol))

    def is_inside(u: Float64[np.ndarray, "m choices"]) -> Bool[np.ndarray, " m"]:
        z = surface.points(u, question.s)
        losses = surface.log_losses(fit.family, fit.theta[None], z)[0]
        return (losses <= level) & bounds.hold(u)

    nearest = np.nan
    if found.value[0] <= level and not is_inside(place[None])[0]:
        nearest = natural(_crossing(is_inside, place, i, float(found.u[0, i])))
    return {
        "best": natural(found.u[0, i]),
        "regret": float(max(np.expm1(found.value[0] - least), 0.0)),
        "within_tol": nearest,
    }


def _crossing(is_inside: Inside, place: np.ndarray, i: int, inner: float) -> float:
    """Coordinate i, between a choice and the best, where the plateau begins."""
    outer = float(place[i])
    for _ in range(_ROUNDS):
        line = np.linspace(inner, outer, _POINTS)
        u = np.repeat(place[None], _POINTS, axis=0)
        u[:, i] = line
        k = int(np.flatnonzero(np.append(True, is_inside(u)[1:]))[-1])
        inner, outer = float(line[k]), float(line[min(k + 1, _POINTS - 1)])
    return inner
