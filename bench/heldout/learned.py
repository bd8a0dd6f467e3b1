"""Regressors from scikit-learn on the logarithms of the settings.

A Gaussian process and gradient-boosted trees, both with what their users would begin
with. BoTorch, the other Gaussian process of its kind, is not installed here: its models
are this one with other priors on the length scales. scikit-learn is in the extra
`bench` and imported where it is used.
"""

from __future__ import annotations

import importlib
import warnings
from typing import Any, Protocol

import numpy as np

from heldout.baselines import Ols15

# Runs that the process is conditioned on, and those that its kernel is fitted to.
PROCESS_RUNS = 1000
KERNEL_RUNS = 500


class Model(Protocol):
    """Anything that gives ln loss [points] at x [points, columns]."""

    def log_loss(self, x: np.ndarray) -> np.ndarray:
        """Fitted ln loss at x."""
        ...


class GaussianProcess:
    """Anisotropic RBF plus white noise on what a mean leaves of ln loss.

    The mean is 0 (about the average) or the full quadratic of `Ols15`, fitted to all
    runs. A seeded subsample of them conditions the process and half of that fits its
    kernel, by maximum marginal likelihood.
    """

    def __init__(
        self,
        x: np.ndarray,
        log_loss: np.ndarray,
        offsets: int = 0,
        *,
        is_on_ols: bool = False,
        seed: int = 0,
    ) -> None:
        """Fit to settings x [runs, columns], the last `offsets` of them indicators."""
        process = importlib.import_module("sklearn.gaussian_process")
        kernels = importlib.import_module("sklearn.gaussian_process.kernels")
        self.ols = Ols15(x, log_loss, offsets) if is_on_ols else None
        rest = log_loss - (self.ols.log_loss(x) if self.ols else 0.0)
        self.level, self.size = rest.mean(), rest.std()
        self.centre, self.scale = x.mean(axis=0), x.std(axis=0)
        order = np.random.default_rng(seed).permutation(len(x))[:PROCESS_RUNS]
        z, target = self._z(x[order]), (rest[order] - self.level) / self.size
        amplitude = kernels.ConstantKernel(1.0, (1e-3, 1e4))
        shape = kernels.RBF(np.ones(x.shape[1]), (0.05, 1e3))
        noise = kernels.WhiteKernel(0.05, (1e-6, 1.0))
        first = process.GaussianProcessRegressor(
            amplitude * shape + noise, random_state=seed
        )
        with warnings.catch_warnings():
            # A length scale at its bound: that column has no say.
            warnings.simplefilter("ignore")
            first.fit(z[:KERNEL_RUNS], target[:KERNEL_RUNS])
            self.model: Any = process.GaussianProcessRegressor(
                first.kernel_, optimizer=None
            ).fit(z, target)

    def _z(self, x: np.ndarray) -> np.ndarray:
        return (x - self.centre) / np.where(self.scale > 0, self.scale, 1.0)

    def log_loss(self, x: np.ndarray) -> np.ndarray:
        """Fitted ln loss [points] at x, columns as fitted."""
        mean = self.ols.log_loss(x) if self.ols else 0.0
        return mean + self.level + self.size * self.model.predict(self._z(x))


class Trees:
    """Gradient-boosted trees, scikit-learn's defaults; constant beyond the data."""

    def __init__(
        self, x: np.ndarray, log_loss: np.ndarray, offsets: int = 0, *, seed: int = 0
    ) -> None:
        """Fit to settings x [runs, columns]; indicators are columns like others."""
        ensemble = importlib.import_module("sklearn.ensemble")
        self.model: Any = ensemble.HistGradientBoostingRegressor(random_state=seed)
        with _one_thread():
            self.model.fit(x, log_loss)

    def log_loss(self, x: np.ndarray) -> np.ndarray:
        """Fitted ln loss [points] at x, columns as fitted."""
        with _one_thread():
            return self.model.predict(x)


def _one_thread() -> Any:
    """Threads that wait by spinning take minutes where other work shares the cores."""
    limits = importlib.import_module("threadpoolctl").threadpool_limits
    return limits(limits=1, user_api="openmp")


def lowest_on_grid(model: Model, u: np.ndarray, s: np.ndarray) -> np.ndarray:
    """(ln lr, ln batch) of the lowest fitted loss on the grid of the levels of u.

    Args:
        model: asked.
        u: (ln lr, ln batch) of runs; their levels span the grid.
        s: the other columns, at which it is asked.

    Returns:
        The place [2]; the mean of the places where several are equally low.
    """
    axes = np.meshgrid(np.unique(u[:, 0]), np.unique(u[:, 1]), indexing="ij")
    grid = np.stack(axes, axis=-1).reshape(-1, 2)
    table = np.concatenate([grid, np.tile(s, (len(grid), 1))], axis=1)
    value = model.log_loss(table)
    return grid[value == value.min()].mean(axis=0)
