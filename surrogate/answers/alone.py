"""What changing one setting of a choice is worth, the other one staying."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from surrogate.answers import arrays
from surrogate.answers.question import Range
from surrogate.answers.solved import Solved, limits
from surrogate.base.shapes import Bool, Float64

# Points of a line, and how often the place where it crosses the level is closed in on.
_POINTS, _ROUNDS = arrays.BLOCK, 4

Inside = Callable[[Float64[np.ndarray, "m choices"]], Bool[np.ndarray, " m"]]


def alone(
    solved: Solved, choice: Mapping[str, float], name: str, tol: float, ends: Range
) -> dict[str, float] | None:
    """The best value of one setting, the regret then, and the nearest within tol.

    It is looked for between `ends`, stretched to hold the choice. None where the fit
    does not choose that setting. The nearest is NaN where even the
    best is not within tol, or the choice itself is; it is on the stable side.
    """
    fit, question = solved.fit, solved.question
    names = fit.features.choices
    if name not in names:
        return None
    box = question.box | {n: (choice[n], choice[n]) for n in names if n != name}
    box[name] = min(ends[0], choice[name]), max(ends[1], choice[name])
    bounds = limits(question, box, choice)
    found = arrays.minima(
        fit.family, fit.theta[None], question.s, bounds.low, bounds.high, bounds.cut
    )
    place = fit.features.u_of(choice)
    i = names.index(name)
    mean, scale = fit.features.mean[i], fit.features.scale[i]

    def natural(u: float) -> float:
        return float(np.exp(u * scale + mean))

    level = float(solved.value + np.log1p(tol))

    def is_inside(u: Float64[np.ndarray, "m choices"]) -> Bool[np.ndarray, " m"]:
        return (solved.log_losses(u) <= level) & bounds.hold(u)

    nearest = np.nan
    if found.value[0] <= level and not is_inside(place[None])[0]:
        nearest = natural(_crossing(is_inside, place, i, float(found.u[0, i])))
    # As of the choice itself, it may be beyond a float64.
    with np.errstate(over="ignore"):
        regret = float(max(np.expm1(found.value[0] - solved.value), 0.0))
    return {
        "best": natural(found.u[0, i]),
        "regret": regret,
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
