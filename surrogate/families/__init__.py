"""Families of surrogates: each gives ln loss at ONE point, convex in u by construction.

`make` builds a family for the coordinates of a fit.
"""

from surrogate.base.defaults import SINGLE_FAMILIES
from surrogate.families.bowl import Bowl
from surrogate.families.mix import MIX, Mix
from surrogate.families.posynomial import Posynomial
from surrogate.families.protocol import (
    Curved,
    Family,
    Linear,
    Shape,
    Shared,
    cell_offsets,
)
from surrogate.families.quadratic import Quadratic

__all__ = [
    "MIX",
    "NAMES",
    "Bowl",
    "Curved",
    "Family",
    "Linear",
    "Mix",
    "Posynomial",
    "Quadratic",
    "Shape",
    "Shared",
    "cell_offsets",
    "make",
]

# What is fitted alone, from the simplest on; a mix is made of these.
NAMES = SINGLE_FAMILIES


def make(name: str, shape: Shape, terms: int | None) -> Family:
    """The family of that name.

    Args:
        name: one of `NAMES`.
        shape: sizes of the coordinates.
        terms: K of the posynomial; the others have none.
    """
    if name in ("quadratic", "additive"):
        return Quadratic(shape, is_additive=name == "additive")
    if name == "bowl":
        return Bowl(shape)
    assert name == "posynomial", name
    assert terms is not None
    return Posynomial(shape, terms)
