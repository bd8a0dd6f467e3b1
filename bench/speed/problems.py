"""The benchmark's problems as arrays: the dense dump, or the embedded sweep without it.

Step Law's dense dump is read from SURROGATE_DATA (default ../shared/data); where that
folder is absent, runs simulated from the bundled fit on the same grid stand in, and
`Sweep.source` says so.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from harness.dumps import ROOT

import surrogate
from surrogate.answers.simulate import simulate
from surrogate.data.coordinates import Features, Rows
from surrogate.families import Bowl, Posynomial, Quadratic, Shape

FILE = "steplaw/dense_lr_bs_loss.csv"
TERMS = 3
# Where answers are compared: inside the fitted cells.
AT = {"params": 1e9, "tokens": 2e10}
# Gpufit's comparison: 5 x 5 pixels; amplitude, centre, centre, width, offset; each
# fit's truth and start within 10 % of it; signal over noise 10.
PIXELS = 5
PEAK = np.array([500.0, 2.0, 2.0, 1.0, 10.0])
JITTER = 0.1
SIGNAL_TO_NOISE = 10.0
# Full width of a Gaussian at a tenth of its height, in standard deviations: the side of
# the square over which Gpufit averages the peak to get its signal.
_TENTH = 4.292


class Peaks(NamedTuple):
    """Gpufit's fits: pixels [fits, 25], starts and truth [fits, 5], places [25, 2]."""

    data: np.ndarray
    starts: np.ndarray
    truth: np.ndarray
    xy: np.ndarray


class Linear(NamedTuple):
    """Weighted least squares with a prior: a family, its rows, the full fit's weights.

    Attributes:
        family: which columns theta multiplies.
        z: rows.
        target: of the rows.
        weights: of the full fit; replicas multiply them by counts.
        cell: of each row, 0 to cells - 1.
    """

    family: Quadratic
    z: np.ndarray
    target: np.ndarray
    weights: np.ndarray
    cell: np.ndarray

    @property
    def design(self) -> np.ndarray:
        """The columns [n, p], in NumPy from their definition."""
        inner = self.family.shape.choices + self.family.shape.scales
        x = self.z[:, :inner]
        first, second = np.triu_indices(inner)
        ones = np.ones((len(x), 1))
        products = x[:, first] * x[:, second]
        return np.concatenate([ones, x, products, self.z[:, inner:]], axis=1)

    @property
    def least_squares(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Design, target, weights, and the precision of the prior around 0."""
        return self.design, self.target, self.weights, self.family.prior.precision


class Sweep:
    """The runs and what is fitted to them.

    Attributes:
        source: where the runs are from, for people.
        runs: as the library reads them.
    """

    def __init__(self) -> None:
        """Read the dump, or simulate it where it is absent."""
        folder = Path(os.environ.get("SURROGATE_DATA", ROOT / "../shared/data"))
        path = folder.resolve() / FILE
        if path.is_file():
            self.source, self.runs = f"released dump {FILE}", surrogate.read_runs(path)
        else:
            self.source = f"embedded sweep, simulated with seed 0 (no {FILE})"
            self.runs = simulate(seed=0)

    @cached_property
    def features(self) -> Features:
        """Standardisation of its coordinates."""
        return Features.of(self.runs)

    @cached_property
    def rows(self) -> Rows:
        """Runs that did not diverge, cells relabelled 0 to cells - 1."""
        rows = self.features.rows(self.runs)
        _, cell = np.unique(rows.cell, return_inverse=True)
        return rows._replace(cell=cell)

    @property
    def cells(self) -> int:
        """How many hold a row."""
        return int(self.rows.cell.max()) + 1

    @property
    def shape(self) -> Shape:
        """Sizes of the coordinates."""
        features = self.features
        return Shape(len(features.choices), len(features.givens), features.offsets)

    def posynomial(self, terms: int = TERMS) -> Posynomial:
        """The family on these coordinates."""
        return Posynomial(self.shape, terms)

    @property
    def quadratic(self) -> Quadratic:
        """The family on these coordinates."""
        return Quadratic(self.shape)

    @property
    def bowl(self) -> Bowl:
        """The family on these coordinates."""
        return Bowl(self.shape)

    def linear(self, weights: np.ndarray) -> Linear:
        """The quadratic as peers see it, under the full fit's weights."""
        rows = self.rows
        return Linear(self.quadratic, rows.z, rows.target, weights, rows.cell)

    def given(self, params: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Standardised scales of questions [m, g]."""
        recipe = np.full(len(params), self.features.recipes[0])
        return self.features.given(params, tokens, {}, recipe)


def growth(rows: int, scales: int = 0, seed: int = 0) -> Linear:
    """A quadratic in 2 + scales coordinates on as many rows, in 20 cells.

    Six features without scales, 15 with two.
    """
    rng = np.random.default_rng(seed)
    family = Quadratic(Shape(2, scales, 0))
    z = rng.normal(size=(rows, 2 + scales))
    blank = Linear(family, z, z[:, 0], np.full(rows, 1e4), np.arange(rows) % 20)
    bowl = 0.1 + 0.05 * (z[:, 0] ** 2 + z[:, 1] ** 2) + 0.02 * z.sum(axis=1)
    return blank._replace(target=bowl + 0.01 * rng.normal(size=rows))


def peaks(fits: int, seed: int = 0) -> Peaks:
    """Gpufit's comparison data: Gaussian peaks with Gaussian noise.

    Source: github gpufit/Gpufit, examples/Gpufit_Cpufit_Performance_Comparison.cpp.
    """
    rng = np.random.default_rng(seed)
    side = np.arange(float(PIXELS))
    y, x = np.meshgrid(side, side, indexing="ij")
    xy = np.stack([x.ravel(), y.ravel()], axis=1)
    truth = PEAK * rng.uniform(1 - JITTER, 1 + JITTER, (fits, 5))
    starts = truth * rng.uniform(1 - JITTER, 1 + JITTER, (fits, 5))
    square = ((xy[None] - truth[:, None, 1:3]) ** 2).sum(axis=2)
    clean = truth[:, :1] * np.exp(-0.5 * square / truth[:, 3:4] ** 2) + truth[:, 4:]
    signal = 2 * np.pi * PEAK[0] / _TENTH**2
    noise = rng.normal(0.0, signal / SIGNAL_TO_NOISE, clean.shape)
    return Peaks((clean + noise).astype(np.float32), starts, truth, xy)
