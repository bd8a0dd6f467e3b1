"""Two plain estimators that every figure of the library is printed beside.

Both choose their runs by the observed loss, as their users do; the library never does
(design.md, section 2). NumPy only; settings in natural units, batch in tokens.
"""

from __future__ import annotations

import numpy as np

from surrogate.laws.step_law import near_best, step_law_recipe

__all__ = ["Ols15", "near_best", "step_law_recipe"]


class Ols15:
    """Full quadratic of ln loss in (ln lr, ln batch, logarithms of scale variables).

    Ordinary least squares, nothing kept convex: fifteen coefficients for two scale
    variables, and one more for each recipe indicator, which shifts the level. Its
    optimum at given scales is the stationary point of the two chosen coordinates, where
    that is a minimum inside the box; else the lowest point of the box's boundary.
    """

    def __init__(self, x: np.ndarray, log_loss: np.ndarray, offsets: int = 0) -> None:
        """Fit to logarithmic settings x [runs, 2 + scales + offsets] and ln loss.

        The last `offsets` columns are indicators.
        """
        self.logs = x.shape[1] - offsets
        logs = x[:, : self.logs]
        self.centre, self.scale = logs.mean(axis=0), logs.std(axis=0)
        self.coefficients = np.linalg.lstsq(self._terms(x), log_loss, rcond=None)[0]

    def _terms(self, x: np.ndarray) -> np.ndarray:
        z = (x[:, : self.logs] - self.centre) / self.scale
        rows, columns = np.triu_indices(self.logs)
        ones, shifts = np.ones((len(z), 1)), x[:, self.logs :]
        return np.concatenate([ones, z, z[:, rows] * z[:, columns], shifts], axis=1)

    def log_loss(self, x: np.ndarray) -> np.ndarray:
        """Fitted ln loss [points] at x, columns as fitted."""
        return self._terms(x) @ self.coefficients

    def argmin(self, s: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """(ln lr, ln batch) of the lowest fitted loss in a box.

        Args:
            s: the other coordinates, as fitted; indicators move no optimum.
            low: lower ends of (ln lr, ln batch).
            high: upper ends of the same.

        Returns:
            The place [2].
        """
        count = self.logs
        pairs = np.triu_indices(count)
        quad = np.zeros((count, count))
        quad[pairs] = self.coefficients[1 + count : 1 + count + len(pairs[0])]
        quad = quad + quad.T
        z_s = (s[: count - 2] - self.centre[2:]) / self.scale[2:]
        a, b = quad[:2, :2], self.coefficients[1:3] + quad[:2, 2:] @ z_s
        z_low = (low - self.centre[:2]) / self.scale[:2]
        z_high = (high - self.centre[:2]) / self.scale[:2]
        z = _box_argmin(a, b, z_low, z_high)
        return self.centre[:2] + self.scale[:2] * z


def _box_argmin(
    a: np.ndarray, b: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Lowest point of z.a.z / 2 + b.z over a box [2], whatever the signs of a."""
    places = [np.array([x, y]) for x in (low[0], high[0]) for y in (low[1], high[1])]
    if abs(np.linalg.det(a)) > 0:
        places.append(np.linalg.solve(a, -b))
    for held, free in ((0, 1), (1, 0)):
        for edge in (low[held], high[held]):
            if a[free, free] != 0:
                place = np.empty(2)
                place[held] = edge
                place[free] = -(b[free] + a[free, held] * edge) / a[free, free]
                places.append(place)
    candidates = np.array(places)
    inside = np.all((candidates >= low) & (candidates <= high), axis=1)
    candidates = candidates[inside]
    value = np.einsum("pi,ij,pj->p", candidates, a, candidates) / 2 + candidates @ b
    return candidates[value.argmin()]
