"""The scaling law of the best loss that a cell shows: no word on lr or batch.

ln L = ln(E + sum_k A_k S_k^-alpha_k) + offset of the recipe, over the scale variables
S_k (params and tokens, say). It proposes nothing, so it has no regret.

Source of the form: Hoffmann et al. 2022, "Training Compute-Optimal Large Language
Models", equation 2. They minimise a Huber loss of ln L; here plain least squares, since
the points are cells' best losses and none is an outlier.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import least_squares
from scipy.special import logsumexp

STARTS = 20
# Of alpha: the data see no exponent beyond these.
_LEAST, _MOST = 0.01, 5.0
# How far ln of a term may be from the mean ln loss at the centre of the data.
_FAINT, _LOUD = 12.0, 2.0


class Chinchilla:
    """One law for all recipes but for a factor each; sizes in natural logarithms."""

    def __init__(
        self, s: np.ndarray, log_loss: np.ndarray, offsets: int = 0, seed: int = 0
    ) -> None:
        """Fit from several seeded starts; the lowest sum of squares stays.

        Args:
            s: logarithms of the scale variables, then `offsets` recipe indicators,
                a line a cell.
            log_loss: ln of the cell's best loss.
            offsets: how many of the last columns are indicators.
            seed: of the starts.
        """
        self.scales = s.shape[1] - offsets
        self.centre = s[:, : self.scales].mean(axis=0)
        self.level = float(log_loss.mean())
        count = self.scales
        low = [-_FAINT] * (1 + count) + [np.log(_LEAST)] * count + [-1.0] * offsets
        high = [_LOUD] * (1 + count) + [np.log(_MOST)] * count + [1.0] * offsets
        rng = np.random.default_rng(seed)
        found = [
            least_squares(
                lambda theta: self._at(theta, s) - log_loss,
                self._start(rng, offsets),
                bounds=(low, high),
                x_scale="jac",
                xtol=1e-12,
                ftol=1e-12,
                gtol=1e-12,
                max_nfev=500,
            )
            for _ in range(STARTS)
        ]
        self.theta = min(found, key=lambda fit: fit.cost).x

    def _start(self, rng: np.random.Generator, offsets: int) -> np.ndarray:
        shares = np.log(rng.dirichlet(np.ones(1 + self.scales)) + 1e-3)
        alpha = np.log(rng.uniform(0.1, 0.8, self.scales))
        return np.concatenate([shares, alpha, np.zeros(offsets)])

    def _at(self, theta: np.ndarray, s: np.ndarray) -> np.ndarray:
        count = self.scales
        level, height, alpha = np.split(theta[: 1 + 2 * count], [1, 1 + count])
        terms = height - np.exp(alpha) * (s[:, :count] - self.centre)
        constant = np.broadcast_to(level, (len(s), 1))
        law = logsumexp(np.concatenate([constant, terms], axis=1), axis=1)
        return self.level + law + s[:, count:] @ theta[1 + 2 * count :]

    def log_loss(self, s: np.ndarray) -> np.ndarray:
        """Fitted ln loss [points] at s, columns as fitted."""
        return self._at(self.theta, s)

    @property
    def coefficients(self) -> dict[str, np.ndarray]:
        """E [1], A and alpha of each scale variable, in natural units."""
        count = self.scales
        alpha = np.exp(self.theta[1 + count : 1 + 2 * count])
        height = self.level + self.theta[1 : 1 + count] + alpha * self.centre
        level = np.exp(self.level + self.theta[:1])
        return {"E": level, "A": np.exp(height), "alpha": alpha}
