"""Step Law's recipe as an estimator: two pooled regressions over near-best runs.

It chooses its runs by the observed loss, as its authors do; the library's own families
never do (design.md, section 2), so this is here to be compared with. NumPy only.

Source: Li et al. 2025, "Predictable Scale: Part I", and code/fit_tool.py of
https://github.com/step-law/steplaw.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from surrogate.base.shapes import Bool, Float64

# The authors take the runs this near to their cell's best.
WITHIN = 0.0025


class Recipe(NamedTuple):
    """ln lr = lr . (1, ln N, ln D) and ln batch = batch . (1, ln N, ln D).

    Attributes:
        lr: intercept, exponents of N and of D.
        batch: the same of the batch [tokens]; the exponent of N is 0 where the batch
            law has none.
    """

    lr: Float64[np.ndarray, " 3"]
    batch: Float64[np.ndarray, " 3"]

    def __call__(self, params: float, tokens: float) -> tuple[float, float]:
        """Learning rate and batch [tokens] at N and D."""
        at = np.array([1.0, np.log(params), np.log(tokens)])
        return float(np.exp(at @ self.lr)), float(np.exp(at @ self.batch))


def near_best(
    loss: np.ndarray, cell: np.ndarray, within: float = WITHIN
) -> Bool[np.ndarray, " runs"]:
    """Which runs are at most `within` (a fraction) above their cell's lowest loss.

    Args:
        loss: nats per token [runs]; one that is not finite is never chosen.
        cell: integer labels [runs].
        within: 0.005 means 0.5 %.
    """
    finite = np.where(np.isfinite(loss), loss, np.inf)
    _, label = np.unique(cell, return_inverse=True)
    best = np.full(label.max() + 1, np.inf)
    np.minimum.at(best, label, finite)
    return np.isfinite(loss) & (finite <= (1.0 + within) * best[label])


def step_law_recipe(
    lr: np.ndarray,
    batch: np.ndarray,
    params: np.ndarray,
    tokens: np.ndarray,
    *,
    is_params_in_batch: bool = False,
) -> Recipe:
    """Ordinary least squares in natural logarithms.

    ln lr on (1, ln params, ln tokens), ln batch on (1, ln tokens), or on
    (1, ln params, ln tokens) too, over the runs that it is given: those of `near_best`.

    Args:
        lr: peak learning rates [runs].
        batch: tokens per step [runs].
        params: N [runs].
        tokens: D [runs].
        is_params_in_batch: whether the batch law has a term in N.
    """
    log_n, log_d = np.log(params), np.log(tokens)
    both = np.stack([np.ones_like(log_n), log_n, log_d], axis=1)
    on_lr = np.linalg.lstsq(both, np.log(lr), rcond=None)[0]
    used = both if is_params_in_batch else both[:, [0, 2]]
    on_batch = np.linalg.lstsq(used, np.log(batch), rcond=None)[0]
    if not is_params_in_batch:
        on_batch = np.array([on_batch[0], 0.0, on_batch[1]])
    return Recipe(on_lr, on_batch)
