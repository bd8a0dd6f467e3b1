"""Weights of a mix: from the errors of its members on cells left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from scipy.optimize import nnls

from surrogate import estimate
from surrogate.families import Mix
from surrogate.features import Features, Rows
from surrogate.runs import Runs
from surrogate.selection import LARGEST, Folds, HeldOut, is_near, read

# A member with less of the weight is left out: it is not worth its fit.
_LEAST_SHARE = 0.01


class Mixture(NamedTuple):
    """What `mix` found.

    Attributes:
        weights: of the candidates that have one, by name.
        held: scores of the mix.
    """

    weights: dict[str, float]
    held: HeldOut


def mix(
    held: Mapping[str, HeldOut],
    features: Features,
    rows: Rows,
    runs: Runs,
) -> Mixture:
    """Weights of the candidates on the folds that extrapolate, and the mix's scores.

    The weights minimise the squared error on held-out runs, those near their cell's
    best and all that did not diverge counting as much together. A fold is scored with
    the weights that the other folds give.

    Args:
        held: the candidates, at least one.
        features: coordinates of the runs.
        rows: the runs that did not diverge.
        runs: all of them.
    """
    first = next(iter(held.values()))
    folds = first.folds
    whole = _weigh(held, rows, _asked(folds))
    chosen = {n: w for n, w in zip(held, whole.tolist(), strict=True) if w > 0}
    kept = {name: held[name] for name in chosen}
    weights = np.zeros((len(folds.held), len(held)))
    weights[:, whole > 0] = [
        _weigh(kept, rows, [f for f in _asked(folds) if f != fold])
        for fold in range(len(folds.held))
    ]
    # Of all candidates, though some have no weight: one program for all such choices.
    every = Mix(first.family.shape, tuple(h.family for h in held.values()))
    theta = every.join(weights, [h.theta for h in held.values()])
    surface = estimate.evaluate(every, rows, theta, features.box())
    scored = read(every, features, rows, runs, folds, theta, surface)
    return Mixture(chosen, scored)


def _asked(folds: Folds) -> list[int]:
    """The folds that weights come from: those that extrapolate, where there are two."""
    largest = [f for f, name in enumerate(folds.protocol) if name == LARGEST]
    return largest if len(largest) > 1 else list(range(len(folds.protocol)))


def _weigh(
    held: Mapping[str, HeldOut], rows: Rows, asked: list[int]
) -> Float64[np.ndarray, " candidates"]:
    """Nonnegative weights of sum 1; a share too small to be worth a fit is 0."""
    folds = next(iter(held.values())).folds
    parts = []
    for fold in asked:
        for cell in np.flatnonzero(folds.held[fold]).tolist():
            members = rows.cell == cell
            near = members & is_near(rows, cell)
            count = 2.0 * folds.held[fold].sum()
            weight = near / near.sum() / count + members / members.sum() / count
            errors = np.array([h.error[fold] for h in held.values()])
            parts.append((np.sqrt(weight) * errors)[:, members])
    errors = np.concatenate(parts, axis=1).T
    # A row that outweighs all others holds the sum at 1.
    most = 1e3 * max(float(np.abs(errors).max()), 1e-12)
    matrix = np.concatenate([errors, np.full((1, len(held)), most)])
    found, _ = nnls(matrix, np.append(np.zeros(len(errors)), most))
    found = np.where(found < _LEAST_SHARE * found.sum(), 0.0, found)
    return found / found.sum()
