"""What a user asks, in natural units: a Fit and its answers."""

from surrogate.answers.fit import Fit
from surrogate.answers.load import load
from surrogate.answers.results import (
    Evaluation,
    Optimum,
    Plateau,
    Prediction,
    Regret,
)
from surrogate.answers.surface import Surface

__all__ = [
    "Evaluation",
    "Fit",
    "Optimum",
    "Plateau",
    "Prediction",
    "Regret",
    "Surface",
    "load",
]
