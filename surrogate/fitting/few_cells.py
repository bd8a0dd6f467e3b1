"""A fit of few cells: which form is right cannot be told, and counts as an error.

Forms that fit a small table alike put its optimum at different places. Each leads the
leaves off by as much as it is off itself, so that the variance over forms, those that
meet the runs near the optimum better counting more, is part of every interval.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from surrogate.base.defaults import SINGLE_FAMILIES
from surrogate.base.shapes import Float64
from surrogate.families import Mix
from surrogate.fitting import freedom
from surrogate.fitting.replicates import Fitted, Shares, join

# Forms that differ in how they leave the optimum; the additive one is the quadratic's.
SHAPES = tuple(name for name in SINGLE_FAMILIES if name != "additive")


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
    if weights is None:
        weights = shares([part.misfit for part in fits])
    family = Mix(fits[0].family.shape, tuple(part.family for part in fits), chosen)
    steps = len(fits[0].leaves)
    lean = (
        _rival_weights(names, fits, weights, rivals, steps)
        if steps
        else weights[None][:0]
    )
    every = np.concatenate([np.tile(weights, (steps, 1)), lean])
    at = np.arange(draws if steps else 0) % max(len(every), 1)
    led = {}
    for name, part, share in zip(names, fits, weights, strict=True):
        # Of what has no weight a leaf far out would make nothing of all.
        own = part.leaves if share > 0 else np.tile(part.theta, (steps, 1))
        leaves = np.concatenate([own, np.tile(part.theta, (len(lean), 1))])
        led[name] = part._replace(leaves=leaves, draws=leaves[at])
    spare = min(
        (
            part.spare
            for part, share in zip(fits, weights, strict=True)
            if share > 0 and part.spare is not None
        ),
        default=None,
    )
    told = None
    if steps and spare is not None:
        told = _freedom(names, fits, weights, rivals, spare)
    return join(family, Shares(weights, every[at], every), led)._replace(
        freedom=told,
        misfit=float(weights @ np.array([part.misfit for part in fits])),
        spare=spare,
    )


def _freedom(
    names: list[str],
    fits: list[Fitted],
    weights: Float64[np.ndarray, " parts"],
    rivals: Sequence[str],
    spare: int,
) -> int:
    """Of the mean and of what its rivals differ by."""
    leaning = np.zeros(len(names))
    at = [names.index(name) for name in rivals]
    leaning[at] = shares([fits[k].misfit for k in at])
    parts = [part.parts for part in fits if part.parts is not None]
    return freedom.average(parts, weights, leaning).freedom(spare)


def _rival_weights(
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
    reach = np.minimum(np.sqrt(share * count / (count - 1)), 1.0)[:, None]
    return (1 - reach) * weights + reach * np.eye(len(names))[at]
