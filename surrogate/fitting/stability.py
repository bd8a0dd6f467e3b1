"""The probability that a run diverges: logistic in an affine function of logarithms.

The coefficient of ln lr is not negative, so at fixed scales the settings of probability
at most p form a half-plane, bounded in lr from above.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np

from surrogate.base.chances import logistic
from surrogate.base.defaults import P_MAX
from surrogate.base.shapes import Float64
from surrogate.data import Runs
from surrogate.data.coordinates import settings_of

# One number where all settings are numbers.
Values: TypeAlias = np.ndarray | np.float64
# With fewer of either kind an edge would be invented.
MIN_EACH = 5
MIN_CELLS, MIN_BRACKETS, _BRACKET_OCTAVES = 2, 2, 2.0
# One standard deviation [logit a unit of ln]: keeps separable data finite.
_PRIOR_SD = 10.0
_STEPS = 60


@dataclass(frozen=True)
class Stability:
    """Logit p = intercept + sum_j slope_j ln(setting_j / centre_j).

    Attributes:
        names: settings that vary.
        centre: geometric means, natural units.
        slope: of the logit, a unit of ln each.
        intercept: the logit at the centre.
        diverged: runs that diverged, of `runs`.
        runs: how many told.
    """

    names: tuple[str, ...]
    centre: tuple[float, ...]
    slope: tuple[float, ...]
    intercept: float
    diverged: int
    runs: int

    @classmethod
    def of(cls, runs: Runs) -> Stability | None:
        """Penalised maximum likelihood; None where the runs do not tell an edge.

        They do with 5 diverged runs in 2 cells, 5 stable ones, and 2 brackets: at one
        batch of one cell a stable run, then a diverged one at most 2 octaves higher.
        """
        told = runs.usable | runs.diverged
        diverged = runs.diverged[told]
        cells = np.unique(runs.cell[runs.diverged])
        few = min(diverged.sum(), (~diverged).sum()) < MIN_EACH
        if few or len(cells) < MIN_CELLS or brackets(runs) < MIN_BRACKETS:
            return None
        columns = {name: values[told] for name, values in settings_of(runs).items()}
        names = tuple(n for n, v in columns.items() if np.ptp(np.log(v)) > 0)
        if "lr" not in names:
            return None
        x = np.log(np.stack([columns[name] for name in names], axis=1))
        centre = x.mean(axis=0)
        slope, intercept = _fit(x - centre, diverged.astype(np.float64))
        return cls(
            names=names,
            centre=tuple(np.exp(centre).tolist()),
            slope=tuple(slope.tolist()),
            intercept=intercept,
            diverged=int(diverged.sum()),
            runs=len(diverged),
        )

    def logit(self, settings: Mapping[str, Any]) -> Values:
        """Logit of p at settings in natural units, arrays of one length or numbers."""
        terms = [
            slope * np.log(np.asarray(settings[name], np.float64) / centre)
            for name, centre, slope in zip(
                self.names, self.centre, self.slope, strict=True
            )
        ]
        return self.intercept + np.sum(np.broadcast_arrays(*terms), axis=0)

    def probability(self, settings: Mapping[str, Any]) -> Values:
        """Probability of divergence."""
        return logistic(self.logit(settings))

    def limit(
        self, settings: Mapping[str, Any], names: tuple[str, ...], p_max: float = P_MAX
    ) -> tuple[dict[str, float], float]:
        """The edge as a line in ln of the named settings, the others being given.

        Returns:
            A slope for each name, and what the sum of slope x ln setting may reach.
        """
        at = {**settings, **dict.fromkeys(names, 1.0)}
        slopes = dict(zip(self.names, self.slope, strict=True))
        room = np.log(p_max / (1 - p_max)) - self.logit(at)
        return {name: slopes.get(name, 0.0) for name in names}, float(room)

    def octaves_to_edge(
        self, settings: Mapping[str, Any], p_max: float = P_MAX
    ) -> Values:
        """How often lr can be doubled until p reaches p_max; negative beyond it.

        NaN where lr has no effect.
        """
        slope = self.slope[self.names.index("lr")]
        room = np.log(p_max / (1 - p_max)) - self.logit(settings)
        return room / (slope * np.log(2)) if slope > 0 else np.full_like(room, np.nan)

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, strings and lists."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Stability:
        """From what `to_json` gave."""
        known = dict(data)
        return cls(
            names=tuple(known["names"]),
            centre=tuple(known["centre"]),
            slope=tuple(known["slope"]),
            intercept=known["intercept"],
            diverged=known["diverged"],
            runs=known["runs"],
        )


def lowest_unstable(runs: Runs, cell: int) -> tuple[tuple[float, float], ...]:
    """(batch, lr) of the lowest lr that diverged, at each batch of a cell with one."""
    lost = runs.diverged & (runs.cell == cell)
    return tuple(
        (batch, float(runs.lr_level[lost & (runs.batch == batch)].min()))
        for batch in np.unique(runs.batch[lost]).tolist()
    )


def brackets(runs: Runs) -> int:
    """At how many batches of cells a run diverged close above a stable one."""
    found = 0
    place = np.stack([runs.cell, runs.batch], axis=1)
    for at in np.unique(place[runs.diverged], axis=0):
        here = (place == at).all(axis=1)
        stable = runs.lr_level[here & runs.usable]
        lost = runs.lr_level[here & runs.diverged]
        octaves = np.log2(lost[:, None] / stable[None, :])
        found += bool(((octaves > 0) & (octaves <= _BRACKET_OCTAVES + 1e-9)).any())
    return found


def _fit(
    x: Float64[np.ndarray, "n k"], diverged: Float64[np.ndarray, " n"]
) -> tuple[np.ndarray, float]:
    """Newton's method; lr, the first column, is left out if its slope is negative."""
    design = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    penalty = np.full(design.shape[1], 1 / _PRIOR_SD**2)
    penalty[0] = 1e-6
    beta = _newton(design, diverged, penalty)
    if beta[1] < 0:
        kept = np.delete(np.arange(design.shape[1]), 1)
        beta[kept] = _newton(design[:, kept], diverged, penalty[kept])
        beta[1] = 0.0
    return beta[1:], float(beta[0])


def _newton(
    design: np.ndarray, diverged: np.ndarray, penalty: np.ndarray
) -> np.ndarray:
    def objective(beta: np.ndarray) -> float:
        eta = design @ beta
        likelihood = np.sum(np.logaddexp(0, eta) - diverged * eta)
        return float(likelihood + 0.5 * np.sum(penalty * beta**2))

    beta = np.zeros(design.shape[1])
    value = objective(beta)
    for _ in range(_STEPS):
        p = np.asarray(logistic(design @ beta))
        gradient = design.T @ (p - diverged) + penalty * beta
        hessian = (design * (p * (1 - p))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while objective(beta - size * step) > value and size > 1e-10:
            size *= 0.5
        beta = beta - size * step
        after = objective(beta)
        if value - after <= 1e-13 * abs(value):
            return beta
        value = after
    return beta
