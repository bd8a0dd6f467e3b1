"""Every family at a shape, and thetas as a fit might have them."""

from __future__ import annotations

import numpy as np

from surrogate.families import Bowl, Family, Mix, Posynomial, Quadratic, Shape

PROBLEMS = 40


def families(shape: Shape) -> list[Family]:
    single = [
        Quadratic(shape),
        Quadratic(shape, is_additive=True),
        Bowl(shape),
        Posynomial(shape, shape.choices + 1),
        Posynomial(shape, shape.choices + 3),
    ]
    return [*single, Mix(shape, (single[0], single[2], single[4]))]


def draw(family: Family, rng: np.random.Generator) -> np.ndarray:
    """Thetas as a fit might have them."""
    theta = family.prior.centre + 0.3 * rng.normal(size=(PROBLEMS, family.size))
    if isinstance(family, Mix):
        count = len(family.members)
        theta[:, :count] = rng.dirichlet(np.ones(count), PROBLEMS)
    return theta
