"""What fitting finds: the data of a fit, without the questions it can be asked."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from surrogate.base.defaults import MIN_CELLS_FOR_INTERVALS
from surrogate.base.shapes import Float64
from surrogate.data import Runs
from surrogate.data.coordinates import Features
from surrogate.families import Family
from surrogate.fitting import intervals
from surrogate.fitting.discrepancy import Discrepancy
from surrogate.fitting.evidence import Direction
from surrogate.fitting.objective import Noise
from surrogate.fitting.stability import Stability

# Two learning rates nearer than this are one.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class CellRecord:
    """What a fit remembers of a cell; no losses.

    Attributes:
        recipe: of the cell, "" where unnamed.
        params: of the cell.
        tokens: of the cell.
        scales: further scale variables.
        runs: how many, diverged ones included.
        diverged: of them.
        lr: its levels of learning rate.
        batch: its batch sizes [tokens].
        around: lowest and highest tried value of lr and batch over the fitted optimum
            of the cell, in ln; of what is fitted.
        unstable: (batch, lr) at each batch where a run diverged, the lowest such lr.
    """

    recipe: str
    params: float
    tokens: float
    scales: dict[str, float]
    runs: int
    diverged: int
    lr: tuple[float, ...]
    batch: tuple[float, ...]
    around: dict[str, tuple[float, float]] = field(default_factory=dict)
    unstable: tuple[tuple[float, float], ...] = ()

    def levels(self, name: str) -> tuple[float, ...]:
        """The values of lr or batch that were tried."""
        return self.lr if name == "lr" else self.batch

    def ends(self, name: str) -> tuple[float, float]:
        """The lowest and the highest of them; of lr below all that went unstable."""
        levels = self.levels(name)
        if name == "lr":
            edge = min((lr for _, lr in self.unstable), default=math.inf)
            levels = tuple(v for v in levels if v < edge * (1 - _ROUNDING)) or levels
        return min(levels), max(levels)


@dataclass(frozen=True)
class Provenance:
    """Where a fit comes from and how well it was reached.

    Attributes:
        sources: file, SHA-256 and rows of every file read.
        versions: of Python and of the packages that computed it.
        created: date, ISO 8601.
        seed: of starts and resampling.
        bootstrap: draws asked for.
        device: that computed it.
        backend: of the kernels.
        runs: in the table.
        diverged: of them.
        dropped: rows that were not used.
        fit: convergence: decrement, steps, second-best start, draws unsettled, ...
        selection: what `auto` compared and by how much it chose.
    """

    sources: tuple[dict[str, Any], ...]
    versions: dict[str, str]
    created: str
    seed: int
    bootstrap: int
    device: str
    backend: str
    runs: int
    diverged: int
    dropped: int
    fit: dict[str, Any]
    selection: dict[str, Any] | None


NOWHERE = Provenance((), {}, "", 0, 0, "", "", 0, 0, 0, {}, None)


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted surface, with draws that say how sure it is.

    Attributes:
        family: the form of ln loss.
        features: coordinates and standardisation.
        theta: the fitted parameters.
        draws: of the bootstrap, one row each; none where cells are too few.
        leaves: refits without each cell, or steps of few cells; none likewise.
        noise: what the surface leaves unexplained.
        stability: where training diverges; None where the runs cannot tell.
        cells: what was fitted.
        scores: held-out, by leave-one-cell-out: regret, regret_smoothed, mae_ln.
        is_converged: the fit settled.
        loss_kind: which loss it predicts.
        params_kind: which parameters are counted.
        provenance: where it comes from.
        warnings: what to know before using it.
        runs: of the user; None in a bundled fit.
        freedom: degrees of freedom where `leaves` are steps, one a cause of error, or
            also without each trunk; None where they are refits without each cell.
        evidence: what the runs say of an optimum along lr and batch; none in fits of
            before it was asked.
        loss_unit: of every loss: `nats` per token, or `bits_per_byte`.
        about: the recipe of the runs, as far as it was told: optimizer, schedule, ...
        discrepancy: how wrong the law may be beyond the data; None where it was not
            measured.
        clusters: how many trunks intervals count that runs share; 0 where none is told.
    """

    family: Family
    features: Features
    theta: Float64[np.ndarray, " p"]
    draws: Float64[np.ndarray, "draws p"]
    leaves: Float64[np.ndarray, "cells p"]
    noise: Noise
    stability: Stability | None
    cells: tuple[CellRecord, ...]
    scores: dict[str, Any]
    is_converged: bool
    loss_kind: str
    params_kind: str
    provenance: Provenance
    warnings: tuple[str, ...] = ()
    runs: Runs | None = field(default=None, repr=False)
    freedom: int | None = None
    evidence: dict[str, Direction] = field(default_factory=dict)
    loss_unit: str = "nats"
    about: dict[str, str] = field(default_factory=dict)
    discrepancy: Discrepancy | None = None
    clusters: int = 0

    @property
    def refits(self) -> Float64[np.ndarray, "thetas p"]:
        """The fit, then its jackknife refits: what an interval is made of."""
        return np.concatenate([self.theta[None], self.leaves])

    @property
    def replicates(self) -> Float64[np.ndarray, "thetas p"]:
        """The fit, its jackknife refits and its draws, as one stack."""
        return np.concatenate([self.refits, self.draws])

    @property
    def recipes(self) -> tuple[str, ...]:
        """All fitted recipes; ("",) where there is one unnamed."""
        return self.features.recipes

    @property
    def scale_names(self) -> tuple[str, ...]:
        """Further scale variables that a question must give."""
        return tuple(n for n in self.features.givens if n not in ("params", "tokens"))

    @property
    def unit(self) -> str:
        """What intervals are over: cells, or runs where cells are too few.

        Clusters where runs share trunks.
        """
        if self.clusters and self.freedom is not None:
            return "clusters"
        is_few = self.fitted_cells < MIN_CELLS_FOR_INTERVALS
        return "runs" if is_few and self.freedom is not None else "cells"

    def spans(self, point: np.ndarray | np.float64, leaves: np.ndarray) -> np.ndarray:
        """`intervals.interval` of an estimate and its values from `leaves`."""
        return intervals.interval(point, leaves, freedom=self.freedom)

    @property
    def fitted_cells(self) -> int:
        """How many cells have a run that finished: those that draws resample."""
        return sum(cell.runs > cell.diverged for cell in self.cells)
