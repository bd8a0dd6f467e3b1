"""Weights of a mix: from the errors of its members on cells left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from surrogate.base.shapes import Float64
from surrogate.data import Runs
from surrogate.data.coordinates import Features, Rows
from surrogate.families import Mix
from surrogate.fitting import irls
from surrogate.fitting.cross_validation import (
    LARGEST,
    Folds,
    HeldOut,
    is_near,
    read,
)
from surrogate_kernels.backends import Backend

# A member with less of the weight is left out: it is not worth its fit.
_LEAST_SHARE = 0.01


class Mixture(NamedTuple):
    """What `mix` found.

    Attributes:
        weights: of the candidates that have one, by name.
        held: scores of the mix.
        products: what each cell adds to the sums that weights come from, of these
            candidates.
    """

    weights: dict[str, float]
    held: HeldOut
    products: Float64[np.ndarray, "cells m m"]

    def weights_under(
        self, counts: Float64[np.ndarray, "replicas cells"]
    ) -> Float64[np.ndarray, "replicas m"]:
        """The weights, were the cells there so often; a candidate may lose its own.

        They stay as they are where none of the cells is there that they come from.
        """
        sums = np.tensordot(counts, self.products, axes=1)
        whole = np.array(list(self.weights.values()))
        return np.array([_least(s) if s.any() else whole for s in sums]).reshape(
            -1, len(whole)
        )


def mix(
    held: Mapping[str, HeldOut],
    features: Features,
    rows: Rows,
    runs: Runs,
    backend: Backend = "numpy",
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
        backend: of the arithmetic.
    """
    first = next(iter(held.values()))
    folds, asked = first.folds, _asked(first.folds)
    products = _products(held, rows, asked)
    whole = _least(products.sum(axis=(0, 1)))
    chosen = {n: w for n, w in zip(held, whole.tolist(), strict=True) if w > 0}
    kept = np.flatnonzero(whole)
    products = products[:, :, kept[:, None], kept]
    weights = np.zeros((len(folds.held), len(held)))
    for fold in range(len(folds.held)):
        others = products[np.array(asked) != fold]
        weights[fold, kept] = _least(others.sum(axis=(0, 1)))
    # Of all candidates, though some have no weight: one program for all such choices.
    every = Mix(first.family.shape, tuple(h.family for h in held.values()))
    theta = every.join(weights, [h.theta for h in held.values()])
    surface = irls.evaluate(every, rows, theta, features.box(), backend)
    scored = read(every, features, rows, runs, folds, theta, surface)
    return Mixture(chosen, scored, products.sum(axis=0))


def _asked(folds: Folds) -> list[int]:
    """The folds that weights come from: those that extrapolate, where there are two."""
    largest = [f for f, name in enumerate(folds.protocol) if name == LARGEST]
    return largest if len(largest) > 1 else list(range(len(folds.protocol)))


def _products(
    held: Mapping[str, HeldOut], rows: Rows, asked: list[int]
) -> Float64[np.ndarray, "asked cells m m"]:
    """Weighted sums, over held-out runs of a cell, of products of candidates' errors.

    With weights w of the candidates, the squared error of the mix is w' P w.
    """
    folds = next(iter(held.values())).folds
    found = np.zeros((len(asked), len(rows.cell_s), len(held), len(held)))
    for place, fold in enumerate(asked):
        for cell in np.flatnonzero(folds.held[fold]).tolist():
            members = rows.cell == cell
            near = members & is_near(rows, cell)
            count = 2.0 * folds.held[fold].sum()
            weight = near / near.sum() / count + members / members.sum() / count
            errors = np.array([h.error[fold, members] for h in held.values()])
            found[place, cell] = (weight[members] * errors) @ errors.T
    return found


def _least(products: Float64[np.ndarray, "m m"]) -> Float64[np.ndarray, " m"]:
    """Nonnegative weights of sum 1 and least error; shares too small for a fit: 0."""
    values, vectors = np.linalg.eigh(products)
    root = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    # A row that outweighs all others holds the sum at 1.
    most = 1e3 * max(float(np.abs(root).max()), 1e-12)
    matrix = np.concatenate([root, np.full((1, len(root)), most)])
    found, _ = nnls(matrix, np.append(np.zeros(len(root)), most))
    found = np.where(found < _LEAST_SHARE * found.sum(), 0.0, found)
    return found / found.sum()
