"""A bootstrap as one writes it in NumPy: np.linalg.lstsq in a loop."""

from __future__ import annotations

import numpy as np


def regressions(
    design_lr: np.ndarray,
    log_lr: np.ndarray,
    design_batch: np.ndarray,
    log_batch: np.ndarray,
    replicas: int,
    seed: int = 0,
) -> np.ndarray:
    """Two regressions a replica on rows drawn with replacement [replicas, p1 + p2]."""
    rng = np.random.default_rng(seed)
    rows = len(log_lr)
    found = np.empty((replicas, design_lr.shape[1] + design_batch.shape[1]))
    for i in range(replicas):
        drawn = rng.integers(rows, size=rows)
        on_lr = np.linalg.lstsq(design_lr[drawn], log_lr[drawn], rcond=None)[0]
        on_batch = np.linalg.lstsq(design_batch[drawn], log_batch[drawn], rcond=None)[0]
        found[i] = np.concatenate([on_lr, on_batch])
    return found


def weighted(
    design: np.ndarray,
    target: np.ndarray,
    base: np.ndarray,
    precision: np.ndarray,
    replicas: int,
    seed: int = 0,
    counts: np.ndarray | None = None,
) -> np.ndarray:
    """Weighted least squares with a Gaussian prior around 0, a replica a line.

    Args:
        design: columns that theta multiplies [n, p].
        target: what is fitted [n].
        base: weights of the full fit [n].
        precision: of the prior [p]; enters as p further rows.
        replicas: how many.
        seed: of the counts.
        counts: of every row [replicas, n]; drawn from Poisson(1) where not given.
    """
    rng = np.random.default_rng(seed)
    stiff, zeros = np.diag(np.sqrt(precision)), np.zeros(len(precision))
    found = np.empty((replicas, len(precision)))
    for i in range(replicas):
        count = rng.poisson(1.0, len(target)) if counts is None else counts[i]
        root = np.sqrt(base * count)
        a = np.concatenate([root[:, None] * design, stiff])
        b = np.concatenate([root * target, zeros])
        found[i] = np.linalg.lstsq(a, b, rcond=None)[0]
    return found
