"""What is known of the target, and how a set of runs changes that.

Joint normal: the losses of candidate runs and the target's (ln lr*, ln batch*, ln L*).
Their covariance is that of the fit's jackknife refits, which need no derivative, plus
what a fit does not know of sizes (`assumed`). Runs are conditioned on one at a time, by
a column of the Cholesky factor each, so that a run costs one product with the refits.

Source: Rasmussen and Williams 2006, equations 2.23 and 2.24, of a covariance that is a
sum of outer products.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from surrogate.answers import arrays
from surrogate.answers.planning.assumed import CELL_SPREAD, Kernels, kernels
from surrogate.answers.planning.candidates import Candidates, deviations
from surrogate.answers.planning.target import Target
from surrogate.base.shapes import Float64, Int64
from surrogate.fitting.intervals import MIN_CELLS_PAIRS
from surrogate.fitting.model import Model
from surrogate.fitting.objective import Noise

# Steps of theta more than this are replaced by their principal ones.
_MOST_STEPS = 64
# No run tells a loss better than this.
_LEAST_NOISE = 3e-4
# Of the chance to finish, below which a run tells nothing.
_LEAST_CHANCE = 1e-3


@dataclass(frozen=True)
class Belief:
    """Covariances before any run.

    Attributes:
        steps: of ln loss at each candidate, one line a refit; covariance is their sum
            of products.
        slope: of ln loss in the settings [ln].
        excess: of each candidate over the best of its size.
        place: the size of each candidate.
        kernels: of sizes, the target last.
        noise: variance of a run's own loss; over the chance to finish.
        with_target: covariance of each candidate's loss with the target's rows: the
            optimum's settings as answers show them, the same with all that is assumed,
            and ln of the lowest loss, shown and whole likewise.
        target: covariance of those rows.
    """

    steps: Float64[np.ndarray, "refits m"]
    slope: Float64[np.ndarray, "m choices"]
    excess: Float64[np.ndarray, " m"]
    place: Int64[np.ndarray, " m"]
    kernels: Kernels
    noise: Float64[np.ndarray, " m"]
    with_target: Float64[np.ndarray, "m rows"]
    target: Float64[np.ndarray, "rows rows"]

    def column(self, j: int) -> Float64[np.ndarray, " m"]:
        """Covariance of every candidate's loss with that of candidate j, no noise."""
        at = self.place[j]
        moved = self.kernels.place[at] + self.kernels.more[at]
        found = self.steps[:, j] @ self.steps
        found += (self.slope @ self.slope[j]) * moved[self.place]
        found += self.kernels.level[at][self.place]
        found += self.kernels.shape * self.excess * self.excess[j]
        return found

    @property
    def variance(self) -> Float64[np.ndarray, " m"]:
        """Of every candidate's loss, no noise."""
        own = [np.diag(k)[self.place] for k in self.kernels[:3]]
        found = (self.steps**2).sum(axis=0) + own[2]
        found += (self.slope**2).sum(axis=1) * (own[0] + own[1])
        return found + self.kernels.shape * self.excess**2

    def keep(self, chosen: np.ndarray) -> Belief:
        """About some of the candidates."""
        return Belief(
            self.steps[:, chosen],
            self.slope[chosen],
            self.excess[chosen],
            self.place[chosen],
            self.kernels,
            self.noise[chosen],
            self.with_target[chosen],
            self.target,
        )


def believe(target: Target, found: Candidates, *, is_prior: bool = False) -> Belief:
    """What a fit and its refits say of candidates and target together.

    Args:
        target: where the answer is wanted.
        found: runs that could be made.
        is_prior: the fit is of another lab's runs: its shape is trusted more than its
            level and place.
    """
    fit, question = target.fit, target.question
    thetas, share = steps_of(fit)
    steps = share * deviations(fit, thetas, found)
    own = share * _answers(target, thetas)
    is_sound = np.isfinite(steps).all(axis=1) & np.isfinite(own).all(axis=1)
    steps, own = steps[is_sound], own[is_sound]
    asked = question.sizes
    sizes = [{"params": p.params, "tokens": p.tokens, **p.scales} for p in found.places]
    few = fit.fitted_cells < MIN_CELLS_PAIRS
    between = kernels(
        [*sizes, asked],
        {name: fit.features.fitted[name] for name in asked},
        middle_of(fit, tuple(asked)),
        target.carries or _unseen(fit, asked),
        level=max(fit.noise.cell, CELL_SPREAD if few else 0.0),
        is_prior=is_prior,
    )
    chance = np.maximum(1 - found.probability, _LEAST_CHANCE)
    spread = noise_of(fit).within(found.excess)
    noise = np.maximum(spread, _LEAST_NOISE) ** 2 / chance
    with_target, covariance = _with_target(steps, own, found, between)
    return Belief(
        steps,
        found.slope,
        found.excess,
        found.place,
        between,
        noise,
        with_target,
        covariance,
    )


def noise_of(fit: Model) -> Noise:
    """What a run may be off by: as the fit's runs show, and as its form may miss.

    Few runs show little of how a form misses far from the optimum, and a plan of runs
    there would lean on it.
    """
    return fit.noise._replace(growth=max(fit.noise.growth, fit.family.misfit))


def middle_of(fit: Model, names: Sequence[str]) -> dict[str, float]:
    """Geometric mean of each size over the fitted runs."""
    runs = np.array([cell.runs for cell in fit.cells], dtype=np.float64)
    sizes = [{"params": c.params, "tokens": c.tokens, **c.scales} for c in fit.cells]
    logs = np.log([[size[name] for name in names] for size in sizes])
    means = np.exp(np.average(logs, axis=0, weights=runs))
    return dict(zip(names, means.tolist(), strict=True))


def _unseen(fit: Model, asked: dict[str, float]) -> tuple[str, ...]:
    """Sizes that the fit has no coordinate for."""
    return tuple(name for name in asked if name not in fit.features.givens)


def _with_target(
    steps: np.ndarray, own: np.ndarray, found: Candidates, between: Kernels
) -> tuple[np.ndarray, np.ndarray]:
    """Covariances of candidates with the target's rows, and of those."""
    choices = found.slope.shape[1]
    law = steps.T @ own
    shown = law[:, :choices] - found.slope * between.place[-1][found.place, None]
    whole = shown - found.slope * between.more[-1][found.place, None]
    loss = law[:, choices]
    every = loss + between.level[-1][found.place]
    rows = np.concatenate([own[:, :choices], own[:, :choices]], axis=1)
    rows = np.concatenate([rows, own[:, choices:], own[:, choices:]], axis=1)
    covariance = rows.T @ rows
    both = np.tile(between.place[-1, -1] * np.eye(choices), (2, 2))
    both[choices:, choices:] += between.more[-1, -1] * np.eye(choices)
    covariance[: 2 * choices, : 2 * choices] += both
    covariance[-1, -1] += between.level[-1, -1]
    with_target = [shown, whole, loss[:, None], every[:, None]]
    return np.concatenate(with_target, axis=1), covariance


def _answers(target: Target, thetas: np.ndarray) -> Float64[np.ndarray, "thetas rows"]:
    """The target's optimum [ln] and ln loss of other thetas, less those of the fit."""
    fit, solved = target.fit, target.solved
    every = np.concatenate([fit.theta[None], thetas])
    least = arrays.minima(
        fit.family,
        every,
        target.question.s,
        solved.bounds.low,
        solved.bounds.high,
        solved.bounds.cut,
    )
    u = least.u * fit.features.u_scale
    rows = np.concatenate([u, least.value[:, None]], axis=1)
    return rows[1:] - rows[0]


def steps_of(fit: Model) -> tuple[Float64[np.ndarray, "steps p"], float]:
    """Thetas whose distances from the fit, times a number, have its covariance.

    The jackknife's: (n - 1) / n times the sum of squares. Where there are very many
    (one a run, in fits of few cells), their principal components.
    """
    count = len(fit.leaves)
    share = math.sqrt((count - 1) / count)
    if count <= _MOST_STEPS:
        return fit.leaves, share
    off = fit.leaves - fit.theta
    off = off[np.isfinite(off).all(axis=1)]
    _, size, axes = np.linalg.svd(off, full_matrices=False)
    kept = size > 1e-9 * size.max()
    # Small steps keep a surface near its tangent: many of one root of n each.
    root = math.sqrt(count)
    return fit.theta + (size[kept, None] / root) * axes[kept], share * root
