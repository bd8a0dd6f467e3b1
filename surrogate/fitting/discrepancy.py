"""What no law of the fitted form captures, and how it grows away from the data.

A fit is taken as law + g(s), of a smooth random field g over the logarithms of the
scales: an intrinsic random function with an affine drift and the generalised covariance
tau^2 |h|^3 (thin-plate kriging; Matheron 1973). Given what the cells tell of g, its
variance at s is tau^2 k(s), where k is the kriging variance for tau = 1: small among
the cells, growing as the cube of the distance from them, in the direction asked. The
law was fitted to these cells, so that its errors among them are in its standard errors
already: k counts above its median over cells, each left out in turn.

The scales tau of ln loss and of each setting are those of the errors that refits
without whole regions make (`calibration`), with one degree of freedom less than there
are regions. Assumed: one tau in all directions of ln scales, and errors as large beyond
the data as those of the regions were; nothing is assumed of the law.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from surrogate.base.chances import student
from surrogate.base.shapes import Float64

# Of the kernel's unit, what two cells at one place differ by [ln^3].
NUGGET = 0.05
# A share below which a singular value of the kriging system is none.
_RANK = 1e-10
_QUANTILE = 0.975


def spread(
    cells: Float64[np.ndarray, "n g"], at: Float64[np.ndarray, "m g"]
) -> Float64[np.ndarray, " m"]:
    """Kriging variance of g at these places for tau = 1, g known at the cells.

    Args:
        cells: ln scales of the fitted cells.
        at: ln scales asked about.
    """
    return System.of(cells).variance(at)


@dataclass(frozen=True)
class System:
    """The kriging system of some cells, factored once.

    Attributes:
        cells: their ln scales.
        centre: of the drift's coordinates.
        unit: likewise, so that the system is of one order.
        inverse: of [[K, P], [P', 0]], K the kernel between cells, P the drift.
    """

    cells: Float64[np.ndarray, "n g"]
    centre: Float64[np.ndarray, " g"]
    unit: Float64[np.ndarray, " g"]
    inverse: Float64[np.ndarray, "q q"]

    @classmethod
    def of(cls, cells: Float64[np.ndarray, "n g"]) -> System:
        """From at least one cell."""
        centre = cells.mean(axis=0)
        unit = np.maximum(cells.std(axis=0), np.sqrt(NUGGET))
        drift = _drift(cells, centre, unit)
        kernel = _kernel(cells, cells) + NUGGET * np.eye(len(cells))
        corner = np.zeros((drift.shape[1], drift.shape[1]))
        system = np.block([[kernel, drift], [drift.T, corner]])
        return cls(cells, centre, unit, np.linalg.pinv(system, rcond=_RANK))

    def variance(self, at: Float64[np.ndarray, "m g"]) -> Float64[np.ndarray, " m"]:
        """-b' A^-1 b of the kernel and the drift towards each place."""
        kernel = _kernel(at, self.cells)
        row = np.concatenate([kernel, _drift(at, self.centre, self.unit)], axis=1)
        return np.maximum(-np.einsum("mi,ij,mj->m", row, self.inverse, row), 0.0)


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.linalg.norm(a[:, None] - b[None], axis=-1) ** 3


def _drift(at: np.ndarray, centre: np.ndarray, unit: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((len(at), 1)), (at - centre) / unit], axis=1)


@dataclass(frozen=True)
class Discrepancy:
    """How wrong the law may be beyond the data.

    Attributes:
        cells: ln scales of the fitted cells, in the order of `Features.givens`.
        usual: median of k over cells, each left out; only what is above counts.
        level: tau of ln loss.
        settings: tau of ln lr and ln batch, those that are fitted.
        freedom: degrees of freedom of these scales.
        regret: what 95 % of the cells left out lost at most, alone or with their
            region, as measured; NaN where too few were.
        regions: how many regions the scales come from.
    """

    cells: tuple[tuple[float, ...], ...]
    usual: float
    level: float
    settings: tuple[float, ...]
    freedom: int
    regret: float
    regions: int

    @cached_property
    def _system(self) -> System:
        return System.of(np.array(self.cells))

    def share(self, s: Float64[np.ndarray, "m g"]) -> Float64[np.ndarray, " m"]:
        """K(s) above what is usual among the cells; 0 inside the data.

        Args:
            s: ln scales, in the order of `cells`.
        """
        return np.maximum(self._system.variance(s) - self.usual, 0.0)

    @property
    def quantile(self) -> float:
        """Standard deviations on each side of a 95 % interval."""
        return student(_QUANTILE, self.freedom)

    def level_half(self, s: Float64[np.ndarray, "m g"]) -> Float64[np.ndarray, " m"]:
        """Half-width that the level of ln loss is wrong by, at ln scales s."""
        return self.quantile * self.level * np.sqrt(self.share(s))

    def settings_half(
        self, s: Float64[np.ndarray, "m g"]
    ) -> Float64[np.ndarray, "m choices"]:
        """Half-widths that ln lr and ln batch of the optimum are wrong by."""
        return self.quantile * np.sqrt(self.share(s))[:, None] * np.array(self.settings)

    def moves(
        self, s: Float64[np.ndarray, "1 g"], draws: int
    ) -> Float64[np.ndarray, "draws choices"]:
        """Steps of ln lr and ln batch, one a draw, at one place."""
        return self.steps(draws) * np.sqrt(self.share(s))[:, None]

    def steps(self, draws: int) -> Float64[np.ndarray, "draws choices"]:
        """`moves` for a share of 1: normal over a chi, as the half-widths are.

        Of one generator each, so that draw 7 is the same however many there are.
        """
        normals, chis = np.random.default_rng(len(self.cells)).spawn(2)
        normal = normals.normal(size=(draws, len(self.settings)))
        heavy = np.sqrt(self.freedom / chis.chisquare(self.freedom, size=(draws, 1)))
        return normal * heavy * np.array(self.settings)

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and lists; `from_json` gives the same back."""
        return {
            "cells": [list(cell) for cell in self.cells],
            "usual": self.usual,
            "level": self.level,
            "settings": list(self.settings),
            "freedom": self.freedom,
            "regret": None if np.isnan(self.regret) else self.regret,
            "regions": self.regions,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Discrepancy:
        """From what `to_json` gave."""
        regret = data["regret"]
        return cls(
            cells=tuple(tuple(cell) for cell in data["cells"]),
            usual=data["usual"],
            level=data["level"],
            settings=tuple(data["settings"]),
            freedom=data["freedom"],
            regret=float("nan") if regret is None else regret,
            regions=data["regions"],
        )


def usual(cells: Float64[np.ndarray, "n g"]) -> float:
    """Median of k over cells, each left out in turn."""
    found = [
        float(spread(np.delete(cells, i, axis=0), cells[[i]])[0])
        for i in range(len(cells))
    ]
    return float(np.median(found))
