"""Step Law's recipe over resampled cells, and the authors' own draws of it.

For `steplaw_law.py`. NumPy only.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from surrogate.base.defaults import BOOTSTRAP, MIN_CELLS_FOR_INTERVALS, SEED
from surrogate.base.errors import DataError
from surrogate.base.units import quote
from surrogate.data import Runs
from surrogate.laws.step_law import near_best

_DRAWS = ("lr_intercept", "lr_coefN", "lr_coefD", "bs_intercept", "bs_coefD")


class Near(NamedTuple):
    """The near-best runs of a table; `cell` labels them."""

    lr: np.ndarray
    batch: np.ndarray
    params: np.ndarray
    tokens: np.ndarray
    cell: Int64[np.ndarray, " runs"]

    @classmethod
    def of(cls, runs: Runs) -> Near:
        """Those within 0.25 % of their cell's best."""
        kept = near_best(runs.loss, runs.cell) & ~runs.diverged
        columns = (runs.lr, runs.batch, runs.params, runs.tokens, runs.cell)
        return cls(*(column[kept] for column in columns))


class Draws(NamedTuple):
    """Bootstrap draws of the recipe over resampled cells.

    Attributes:
        lr: of `Recipe.lr`, one row a draw.
        batch: of `Recipe.batch`.
        fixed_batch: intercept and exponents of N, D and batch in ln lr.
        singular: draws whose cells do not determine the coefficients, left out.
    """

    lr: Float64[np.ndarray, "draws 3"]
    batch: Float64[np.ndarray, "draws 3"]
    fixed_batch: Float64[np.ndarray, "draws 4"]
    singular: int


def at_fixed_batch(
    lr: np.ndarray, batch: np.ndarray, params: np.ndarray, tokens: np.ndarray
) -> Float64[np.ndarray, " 4"]:
    """Intercept and exponents of N, D and batch in ln lr over the runs given.

    The exponent of D is then that at a batch held fixed. Arguments are those of
    `step_law_recipe`.
    """
    logs = [np.log(column) for column in (params, tokens, batch)]
    x = np.stack([np.ones_like(logs[0]), *logs], axis=1)
    return np.linalg.lstsq(x, np.log(lr), rcond=None)[0]


def bootstrap(
    near: Near,
    *,
    draws: int = BOOTSTRAP,
    seed: int = SEED,
    is_params_in_batch: bool = False,
) -> Draws:
    """Refit with whole cells resampled, and with no new choice of runs.

    Args:
        near: the runs.
        draws: how many.
        seed: of the resampling.
        is_params_in_batch: whether the batch law has a term in N.

    Raises:
        DataError: too few cells for any interval.
    """
    names, label = np.unique(near.cell, return_inverse=True)
    if len(names) < MIN_CELLS_FOR_INTERVALS:
        raise DataError(
            f"Expected at least {MIN_CELLS_FOR_INTERVALS} cells to resample, got "
            f"{len(names)}. Add runs at other params or tokens."
        )
    random = np.random.default_rng(seed)
    picked = random.integers(len(names), size=(draws, len(names)))
    counts = np.stack([np.bincount(row, minlength=len(names)) for row in picked])
    # Centred, so that normal equations lose no digits to the size of the logarithms.
    logs = {name: np.log(getattr(near, name)) for name in Near._fields[:4]}
    means = {name: float(values.mean()) for name, values in logs.items()}
    z = {name: values - means[name] for name, values in logs.items()}
    weights = counts[:, label].astype(np.float64)
    on = ("params", "tokens") if is_params_in_batch else ("tokens",)
    parts = [
        _weighted(weights, z, means, "lr", ("params", "tokens")),
        _weighted(weights, z, means, "batch", on),
        _weighted(weights, z, means, "lr", ("params", "tokens", "batch")),
    ]
    whole = np.all([np.isfinite(part).all(axis=1) for part in parts], axis=0)
    on_lr, on_batch, fixed = (part[whole] for part in parts)
    if not is_params_in_batch:
        on_batch = np.insert(on_batch, 1, 0.0, axis=1)
    return Draws(on_lr, on_batch, fixed, int((~whole).sum()))


def _weighted(
    weights: Float64[np.ndarray, "draws runs"],
    z: dict[str, np.ndarray],
    means: dict[str, float],
    target: str,
    on: tuple[str, ...],
) -> Float64[np.ndarray, "draws terms"]:
    """Weighted least squares, one a draw; NaN where it is singular."""
    x = np.stack([np.ones_like(z[target]), *(z[name] for name in on)], axis=1)
    gram = np.einsum("dr,ri,rj->dij", weights, x, x, optimize=True)
    right = np.einsum("dr,ri,r->di", weights, x, z[target], optimize=True)
    is_regular = np.linalg.cond(gram) < 1e10
    found = np.full(right.shape, np.nan)
    solved = np.linalg.solve(gram[is_regular], right[is_regular][..., None])
    found[is_regular] = solved[..., 0]
    found[:, 0] += means[target] - found[:, 1:] @ [means[name] for name in on]
    return found


def read_draws(path: str | Path) -> Draws:
    """The authors' bootstrap draws, as they released them.

    Raises:
        DataError: a column is missing or a value is no finite number.
    """
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [n for n in _DRAWS if n not in (reader.fieldnames or ())]
        if missing:
            raise DataError(
                f"{path}: expected the columns {', '.join(_DRAWS)}, got none named "
                f"{missing[0]}. Name the authors' file of draws."
            )
        table = [
            [_number(path, reader.line_num, row, n) for n in _DRAWS] for row in reader
        ]
    if not table:
        raise DataError(f"{path}: expected at least one draw, got none.")
    values = np.array(table)
    batch = np.insert(values[:, 3:], 1, 0.0, axis=1)
    return Draws(values[:, :3], batch, np.zeros((0, 4)), 0)


def _number(path: str | Path, line: int, row: dict[str, str], name: str) -> float:
    try:
        value = float(row[name])
    except (TypeError, ValueError):
        value = np.nan
    if not np.isfinite(value):
        raise DataError(
            f"{path} line {line}, column {name}: expected a finite number, got "
            f"{quote(str(row[name]))}. Correct or drop the line."
        )
    return value
