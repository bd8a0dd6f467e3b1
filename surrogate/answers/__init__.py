"""What a user asks, in natural units: a Fit and its answers."""

from surrogate.answers.fit import CellRecord, Fit, Provenance
from surrogate.answers.results import (
    Evaluation,
    Optimum,
    Plateau,
    Prediction,
    Regret,
)
from surrogate.answers.saving import load

__all__ = [
    "CellRecord",
    "Evaluation",
    "Fit",
    "Optimum",
    "Plateau",
    "Prediction",
    "Provenance",
    "Regret",
    "load",
]
