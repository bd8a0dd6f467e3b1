"""The baselines as methods: fitted to the training runs of a fold, asked for the rest.

All but the published law see the settings as the library does: the scale variables that
the runs can tell apart, and an indicator for each recipe but the first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from heldout.baselines import Ols15, near_best, step_law_recipe
from heldout.chinchilla import Chinchilla
from heldout.learned import Model, lowest_on_grid
from heldout.protocols import Protocol
from heldout.scores import Answer, Answers
from surrogate.data import Runs
from surrogate.data.coordinates import Features, settings_of

# Step Law's authors take the runs this near to their cell's best.
RECIPE_WITHIN = 0.0025
# x, ln loss, number of indicators.
Make = Callable[[np.ndarray, np.ndarray, int], Model]


class Logs:
    """Runs in logarithms: lr, batch, scale variables, then recipe indicators."""

    def __init__(self, runs: Runs) -> None:
        """Of all runs; folds mask them."""
        features = Features.of(runs)
        values = settings_of(runs)
        logs = np.log([values[name] for name in ("lr", "batch", *features.givens)])
        names = np.array(features.recipes[1:], dtype=str)
        self.offsets = features.offsets
        indicators = (runs.recipe[:, None] == names).astype(np.float64)
        self.x = np.concatenate([logs.T, indicators], axis=1)
        self.usable = runs.usable
        self.runs = runs

    @cached_property
    def log_loss(self) -> np.ndarray:
        """NaN where a run diverged."""
        kept = np.where(self.usable, self.runs.loss, np.nan)
        return np.log(kept)

    def near(self, within: float) -> np.ndarray:
        """Which runs are this near to their cell's best and did not diverge."""
        return near_best(self.runs.loss, self.runs.cell, within) & self.usable


def regression(
    make: Make, within: float, runs: Runs, protocol: Protocol
) -> list[Answers]:
    """A model of ln loss, fitted to near-best runs; its lowest place is proposed."""
    logs = Logs(runs)
    near = logs.near(within)
    answers = []
    for held in protocol.held:
        out = held[runs.cell]
        kept = near & ~out
        model = make(logs.x[kept], logs.log_loss[kept], logs.offsets)
        said = {}
        for cell in np.flatnonzero(held & _finished(runs)).tolist():
            members = (runs.cell == cell) & logs.usable
            seen = ~out & logs.usable & (runs.recipe == runs.cells[cell].recipe)
            s = logs.x[members][0, 2:]
            lr, batch = np.exp(_lowest(model, logs.x[seen, :2], s)).tolist()
            said[cell] = Answer((lr, batch), model.log_loss(logs.x[members]))
        answers.append(Answers(said))
    return answers


def _lowest(model: Model, u: np.ndarray, s: np.ndarray) -> np.ndarray:
    """In the range of the recipe's training runs, or on the grid of their levels."""
    if isinstance(model, Ols15):
        return model.argmin(s, u.min(axis=0), u.max(axis=0))
    return lowest_on_grid(model, u, s)


def _finished(runs: Runs) -> np.ndarray:
    """Which cells have a run that did not diverge."""
    return np.bincount(runs.cell, runs.usable, len(runs.cells)) > 0


def chinchilla(runs: Runs, protocol: Protocol) -> list[Answers]:
    """A scaling law through each training cell's best loss; no proposal."""
    logs = Logs(runs)
    finished = _finished(runs)
    members = [(runs.cell == cell) & logs.usable for cell in range(len(runs.cells))]
    best = np.array([logs.log_loss[m].min() if m.any() else np.nan for m in members])
    first = np.array([logs.x[runs.cell == cell][0, 2:] for cell in range(len(members))])
    answers = []
    for held in protocol.held:
        kept = finished & ~held
        law = Chinchilla(first[kept], best[kept], logs.offsets)
        said = {}
        for cell in np.flatnonzero(held & finished).tolist():
            level = law.log_loss(first[[cell]])[0]
            said[cell] = Answer(None, np.full(members[cell].sum(), level))
        answers.append(Answers(said))
    return answers


def recipe(
    is_params_in_batch: bool, scale: str, runs: Runs, protocol: Protocol
) -> list[Answers]:
    """Step Law's recipe refitted; `scale` is what stands for the parameters."""
    near = near_best(runs.loss, runs.cell, RECIPE_WITHIN)
    sizes = settings_of(runs)[scale]
    answers = []
    for held in protocol.held:
        kept = near & ~held[runs.cell]
        law = step_law_recipe(
            runs.lr_level[kept],
            runs.batch[kept],
            sizes[kept],
            runs.tokens[kept],
            is_params_in_batch=is_params_in_batch,
        )
        said = {}
        for cell in np.flatnonzero(held).tolist():
            at = runs.cells[cell]
            size = {"params": at.params, **dict(at.scales)}[scale]
            said[cell] = Answer(law(size, at.tokens), None)
        answers.append(Answers(said))
    return answers


def published(runs: Runs, protocol: Protocol) -> list[Answers]:
    """Li et al. 2025, equation 1, with total parameters; no fit."""
    answers = []
    for held in protocol.held:
        said = {}
        for cell in np.flatnonzero(held).tolist():
            at = runs.cells[cell]
            lr = 1.79 * at.params**-0.713 * at.tokens**0.307
            said[cell] = Answer((lr, 0.58 * at.tokens**0.571), None)
        answers.append(Answers(said))
    return answers
