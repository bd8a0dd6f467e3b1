"""A bootstrap as one writes it in NumPy: np.linalg.lstsq in a loop."""

from __future__ import annotations

import numpy as np


def weighted(
    design: np.ndarray,
    target: np.ndarray,
    base: np.ndarray,
    precision: np.ndarray,
    counts: np.ndarray,
) -> np.ndarray:
    """Weighted least squares with a Gaussian prior around 0, a replica a line.

    Args:
        design: columns that theta multiplies [n, p].
        target: what is fitted [n].
        base: weights of the full fit [n].
        precision: of the prior [p]; enters as p further rows.
        counts: how often each replica has each row [replicas, n].
    """
    stiff, zeros = np.diag(np.sqrt(precision)), np.zeros(len(precision))
    found = np.empty((len(counts), len(precision)))
    for i, count in enumerate(counts):
        root = np.sqrt(base * count)
        a = np.concatenate([root[:, None] * design, stiff])
        b = np.concatenate([root * target, zeros])
        found[i] = np.linalg.lstsq(a, b, rcond=None)[0]
    return found
