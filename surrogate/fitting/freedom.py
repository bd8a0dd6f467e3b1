"""Degrees of freedom of an error of which parts are known better than others.

The noise of the runs is estimated with what the fit leaves of them. How cells differ is
known from released sweeps, and what the form is worth from the few forms there are. The
sum of all has the degrees of freedom of Welch and Satterthwaite, and no fewer than the
noise, which would be all that it is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from surrogate.base.shapes import Float64

# With so many the part of the form is known: three or four forms.
_OF_FORMS = 4
# Noise of fewer is too little known to be small, and of those that there are it may be
# small by chance: the sum has so many times theirs at most.
_LEAST, _MOST = 3, 3


class Parts(NamedTuple):
    """Variances of a fit's optimum, the mean over the cells, one a setting.

    Attributes:
        best: the optimum itself.
        noise: by the noise of the runs.
        form: by what the form may be off.
        known: by what cells share, and how their optima differ.
    """

    best: Float64[np.ndarray, " choices"]
    noise: Float64[np.ndarray, " choices"]
    form: Float64[np.ndarray, " choices"]
    known: Float64[np.ndarray, " choices"]

    def freedom(self, spare: int) -> int:
        """Of the sum, for the setting of which least is known.

        Args:
            spare: degrees of freedom of the noise.
        """
        if spare < _LEAST:
            return spare
        whole = (self.noise + self.form + self.known) ** 2
        parts = self.noise**2 / spare + self.form**2 / _OF_FORMS
        found = whole / np.maximum(parts, 1e-300)
        if not np.isfinite(found).all():
            return spare
        return int(np.clip(found.min(), spare, _MOST * spare))


def average(
    parts: list[Parts],
    weights: Float64[np.ndarray, " parts"],
    leaning: Float64[np.ndarray, " parts"],
) -> Parts:
    """Of a mean of forms, to which what they differ by is added.

    Args:
        parts: of each form.
        weights: of each in the mean.
        leaning: share of each in what forms differ by.
    """
    best, noise, form, known = (
        np.stack([getattr(part, name) for part in parts]) for name in Parts._fields
    )
    centre = weights @ best
    differs = leaning @ (best - centre) ** 2
    return Parts(centre, weights @ noise, weights @ form + differs, weights @ known)
