"""What a plan assumes of sizes where nobody has trained, each as a standard deviation.

A fit's refits disagree about its law; they cannot tell how far the law itself is off at
a size that was never run. Without that every plan would be of the smallest runs. The
numbers are of ln lr* and ln batch* (alike for both) unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from surrogate.base.shapes import Float64

# A size's own part, about the law: 0.042 and 0.048 over Step Law's 17 dense cells, as
# `propagation.CELL_DRIFT` and `families.base.CELL_SPREAD` (of ln loss) have it.
CELL_DRIFT, CELL_SPREAD = 0.05, 0.002
# By how much the law may bend away from the middle of the fitted sizes: a random walk,
# this far after an e-fold. Over the 1.6 e-folds of Step Law's cells they drift as far.
BEND, LEVEL_BEND = 0.05, 0.005
# Exponents along a size that the runs tell nothing of, about a published law's: such
# laws spread from -0.7 to 0.3; of ln loss from -0.1 to 0.
UNSEEN, LEVEL_UNSEEN = 0.3, 0.1
# Of another lab's fit: level of ln loss, place of the optimum, its exponents, and ln of
# how steep it is. Two labs differ by 0.1 to 0.25 in exponents (issue 21).
LAB_LEVEL, LAB_PLACE, LAB_EXPONENT, LAB_SHAPE = 0.1, 0.5, 0.15, 0.3


class Kernels(NamedTuple):
    """Covariances between sizes; the last is the target.

    Attributes:
        place: of ln lr* (and of ln batch*), what later answers will show as well.
        more: of the same, what they leave out: the bend, and each size's own part.
        level: of ln loss.
        shape: variance of ln of how steep the surface is.
    """

    place: Float64[np.ndarray, "places places"]
    more: Float64[np.ndarray, "places places"]
    level: Float64[np.ndarray, "places places"]
    shape: float


def kernels(
    sizes: Sequence[Mapping[str, float]],
    fitted: Mapping[str, tuple[float, float]],
    middle: Mapping[str, float],
    unseen: Sequence[str],
    *,
    level: float,
    is_prior: bool,
) -> Kernels:
    """Covariances of what a fit does not know of several sizes.

    Args:
        sizes: every scale variable by name; the last is the target.
        fitted: the smallest and the largest that was fitted of each.
        middle: of each, of the fitted runs.
        unseen: scale variables that the runs tell nothing of.
        level: of ln loss, what a cell shares.
        is_prior: the fit is of another lab's runs.
    """
    count = len(sizes)
    place, more, levels = (np.zeros((count, count)) for _ in range(3))
    for name, (low, high) in fitted.items():
        x = np.log([size[name] for size in sizes])
        if name in unseen:
            off = x - np.clip(x, np.log(low), np.log(high))
            place += UNSEEN**2 * np.outer(off, off)
            levels += LEVEL_UNSEEN**2 * np.outer(off, off)
        off = x - np.log(middle[name])
        for beyond in (np.maximum(off, 0), np.maximum(-off, 0)):
            shared = np.minimum(beyond[:, None], beyond)
            more += BEND**2 * shared
            levels += LEVEL_BEND**2 * shared
        if is_prior:
            place += LAB_EXPONENT**2 * np.outer(off, off)
    if is_prior:
        place += LAB_PLACE**2
        levels += LAB_LEVEL**2
    table = np.log([[size[name] for name in fitted] for size in sizes])
    is_same = (np.abs(table[:, None] - table) < 1e-3).all(axis=2)
    more += CELL_DRIFT**2 * is_same
    levels += level**2 * is_same
    return Kernels(place, more, levels, LAB_SHAPE**2 if is_prior else 0.0)
