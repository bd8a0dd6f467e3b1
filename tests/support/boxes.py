"""Random plateaus of every family, and the largest box of a grid by brute force."""

from __future__ import annotations

from functools import cache

import numpy as np

from support.families import draw_theta
from surrogate import families
from surrogate.answers import arrays
from surrogate.answers.stability_edge import Bounds
from surrogate.families import Family, Mix, Shape
from surrogate.numerics.half_plane import Cut

NAMES = ("quadratic", "additive", "posynomial", "bowl", "mix")
# Of a ln loss so large a tolerance is near its rounding: no question.
WILD = 1e4


@cache
def family_of(name: str) -> Family:
    if name == "mix":
        members = tuple(family_of(n) for n in ("quadratic", "posynomial", "bowl"))
        return Mix(Shape(2, 2, 0), members)
    return families.make(name, Shape(2, 2, 0), 3 if name == "posynomial" else None)


def theta_of(family: Family, rng: np.random.Generator) -> np.ndarray:
    """Of a mix weights of sum 1, then its members' own."""
    if not isinstance(family, Mix):
        return draw_theta(family, rng)
    weights = rng.dirichlet(np.ones(len(family.members)))
    return np.concatenate([weights, *(draw_theta(m, rng) for m in family.members)])


def question(name: str, seed: int) -> tuple[np.ndarray, np.ndarray, Bounds, float]:
    """Theta, s, what is searched and the level of a plateau; every other one cut."""
    rng = np.random.default_rng([seed, NAMES.index(name)])
    family = family_of(name)
    theta, s = theta_of(family, rng), rng.normal(size=2)
    low, high = -rng.uniform(0.5, 4, 2), rng.uniform(0.5, 4, 2)
    none = np.zeros((2, 2), bool)
    least = arrays.minima(family, theta[None], s, low, high)
    cut = None
    if seed % 2:
        normal = rng.normal(size=2) + np.array([1.0, 0.0])
        # Near the lowest point, so that most cuts take something.
        cut = Cut(normal, np.array(normal @ least.u[0] + 0.2 * rng.normal()))
        corner = np.minimum(normal * low, normal * high).sum()
        cut = cut if corner < cut.bound else None
    bounds = Bounds(low, high, cut, none, False)
    value = arrays.minima(family, theta[None], s, low, high, cut).value[0]
    return theta, s, bounds, float(value + 10 ** rng.uniform(-4, -1.5))


def brute(inside: np.ndarray, axes: list[np.ndarray]) -> float:
    """The largest area of a box whose four corners are inside, of a grid."""
    i, j = np.triu_indices(len(axes[0]), 1)
    both = inside[i] & inside[j]
    held = both[:, i] & both[:, j]
    areas = np.outer(axes[0][j] - axes[0][i], axes[1][j] - axes[1][i])
    return float(np.where(held, areas, 0.0).max())
