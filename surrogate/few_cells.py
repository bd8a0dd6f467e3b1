"""A fit of few cells: which form is right cannot be told, and counts as an error.

Forms that fit a small table alike put its optimum at different places. Each leads the
leaves off by as much as it is off itself, so that the variance over forms, those that
meet the runs near the optimum better counting more, is part of every interval.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from surrogate.defaults import SINGLE_FAMILIES
from surrogate.families import Mix
from surrogate.fitted import Fitted

# Forms that differ in how they leave the optimum; the additive one is the quadratic's.
SHAPES = tuple(name for name in SINGLE_FAMILIES if name != "additive")
# A handful of forms spreads less than all that are possible do.
_WIDER = 1.0


def shares(misfits: Sequence[float]) -> Float64[np.ndarray, " forms"]:
    """Weights of forms, as one over the square of how far they miss runs."""
    found = 1 / np.maximum(np.array(misfits), 1e-300)
    return found / found.sum()


def average(
    parts: dict[str, Fitted],
    weights: Float64[np.ndarray, " parts"] | None,
    chosen: str | None,
    rivals: Sequence[str],
    draws: int,
) -> Fitted:
    """One fit of several forms, whose leaves also lean to each rival.

    Args:
        parts: fits of all forms.
        weights: of the parts in the fit; None for the shares of all.
        chosen: the form that has all the weight; None where several have.
        rivals: forms that leaves lean to.
        draws: how many.
    """
    names, fits = list(parts), list(parts.values())
    first = fits[0]
    if weights is None:
        weights = shares([part.misfit for part in fits])
    family = Mix(first.family.shape, tuple(part.family for part in fits), chosen)
    theta = family.join(weights[None], [part.theta[None] for part in fits])[0]
    leaves = first.leaves[:0]
    present = [part for part, share in zip(fits, weights, strict=True) if share > 0]
    if len(first.leaves):
        # Of what has no weight a leaf far out would make nothing of all.
        own = [
            part.leaves if share > 0 else np.tile(part.theta, (len(part.leaves), 1))
            for part, share in zip(fits, weights, strict=True)
        ]
        within = family.join(weights[None], own)
        lean = _leaning(names, fits, weights, rivals, len(within))
        every = [np.tile(part.theta, (len(lean), 1)) for part in fits]
        leaves = np.concatenate([within, family.join(lean, every)])
    else:
        leaves = np.zeros((0, family.size))
    at = np.arange(draws) % max(len(leaves), 1)
    return Fitted(
        family,
        theta,
        leaves[at] if len(leaves) else leaves,
        leaves,
        _worst(present) | {"members": {n: p.quality for n, p in parts.items()}},
        "+".join(dict.fromkeys(part.backend for part in fits)),
        tuple(dict.fromkeys(text for part in fits for text in part.warnings)),
        weights @ np.array([part.excess for part in fits]),
        min((p.freedom for p in present if p.freedom is not None), default=None),
        float(weights @ np.array([part.misfit for part in fits])),
    )


def _leaning(
    names: list[str],
    fits: list[Fitted],
    weights: Float64[np.ndarray, " parts"],
    rivals: Sequence[str],
    others: int,
) -> Float64[np.ndarray, "rivals parts"]:
    """Weights of a leaf a rival: the squares of its steps sum to the variance."""
    at = [names.index(name) for name in rivals]
    count = others + len(at)
    share = shares([fits[k].misfit for k in at])
    reach = np.minimum(np.sqrt(_WIDER * share * count / (count - 1)), 1.0)[:, None]
    return (1 - reach) * weights + reach * np.eye(len(names))[at]


def _worst(fits: list[Fitted]) -> dict[str, float | bool]:
    """Of what says how well a fit was reached, the worst of those in it."""
    keys = [key for key in fits[0].quality if all(key in p.quality for p in fits)]
    return {
        key: (min if key == "is_settled" else max)(p.quality[key] for p in fits)
        for key in keys
    }
