"""The verb `validate`: leave cells out, fit the rest, ask about what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from surrogate.answers import Fit, from_runs
from surrogate.answers.predict import check_known
from surrogate.answers.validated import FoldScore, Validation
from surrogate.answers.validation import cell
from surrogate.base.arguments import checked
from surrogate.base.defaults import (
    AUTO,
    FOLDS,
    SEED,
    TERMS,
    TOL,
    VALIDATION_DRAWS,
)
from surrogate.base.errors import DataError
from surrogate.data import Runs
from surrogate.data.arguments import RUNS
from surrogate.fitting import fit as fitting
from surrogate.fitting import intervals, regions
from surrogate.fitting.regions import Fold, Skipped
from surrogate.fitting.scores import Band, band
from surrogate.numerics.least_squares import Progress


@checked(runs=RUNS)
def validate(
    runs: Runs,
    *,
    folds: str | Sequence[str] | Mapping[str, ArrayLike] = FOLDS[0],
    family: str = AUTO,
    terms: int = TERMS,
    bootstrap: int = VALIDATION_DRAWS,
    seed: int = SEED,
    device: str = "auto",
    backend: str = "auto",
    progress: Progress | None = None,
) -> Validation:
    """Fit without some cells and score what the fit says of them.

    All is done anew without them: choosing the family, standardising, resampling.
    What is scored is what an answer states: predicted losses and their intervals, the
    suggested setting and the bound of its regret, the plateau, the words of trust.

    Args:
        runs: at least six cells.
        folds: `regions` (the largest, two largest and smallest params, the largest and
            smallest tokens and further scales, the highest and lowest tokens a
            parameter, the largest params x tokens), `cells` (each in turn), `recipes`
            (each in turn, asked about as the recipe of the nearest cell that is left),
            several of these, or masks by name: one boolean for each of `Runs.cells`.
        family: as of `fit`.
        terms: as of `fit`.
        bootstrap: draws of every fold's fit.
        seed: as of `fit`.
        device: as of `fit`.
        backend: as of `fit`.
        progress: told what runs and how far it is.

    Returns:
        Scores of every fold, and which were not tried and why.

    Raises:
        DataError: no fold can be tried, or an argument is wrong.
    """
    if isinstance(folds, Mapping):
        plan = regions.plan(runs, (), regions.check_masks(runs, folds))
    else:
        plan = regions.plan(runs, [folds] if isinstance(folds, str) else folds)
    scored: list[FoldScore] = []
    skipped = list(plan.skipped)
    settings = {
        "family": family,
        "terms": terms,
        "bootstrap": bootstrap,
        "seed": seed,
        "device": device,
        "backend": backend,
        "progress": progress,
    }
    fitting.check(family, terms, bootstrap, seed)
    for fold in plan.folds:
        try:
            found = from_runs.fit(runs.subset(~fold.held[runs.cell]), **settings)
            scored.append(score(found, runs, fold))
        except DataError as error:
            skipped.append(Skipped(fold.name, str(error)))
    if not scored:
        said = "".join(f" {skip.name}: {skip.why};" for skip in skipped[:2])[:-1]
        said += f"; and so {len(skipped) - 2} more" if len(skipped) > 2 else ""
        raise DataError(
            f"Expected cells that can be left out so that {regions.LEAST_LEFT} or more "
            f"stay, and there are none among {len(runs.cells)} cells. Add runs at "
            f"other sizes, or name folds of your own.{said}"
        )
    return Validation(family, tuple(scored), tuple(skipped), intervals.LEVEL)


def score(fit: Fit, runs: Runs, fold: Fold) -> FoldScore:
    """What a fit says of the cells of a fold, beside what was measured there.

    Args:
        fit: of runs without these cells.
        runs: all of them.
        fold: which cells are asked about.

    Raises:
        DataError: the fit depends on a scale that the runs lack.
    """
    usable = np.unique(runs.cell[runs.usable])
    asked = [int(k) for k in usable if fold.held[k]]
    if fold.kind != "recipes":
        check_known(fit, runs.subset(fold.held[runs.cell]))
    points, cells = {}, []
    for index in asked:
        recipe = cell.asked_as(fit, runs.cells[index])
        points[index] = cell.Predicted(fit, runs, index, recipe)
        cells.append(cell.score(fit, runs, index, points[index], recipe))
    errors = np.concatenate([p.errors for p in points.values()])
    parts = [p.intervals() for p in points.values()]
    inside, half, winkler = (np.concatenate(part) for part in zip(*parts, strict=True))
    return FoldScore(
        kind=fold.kind,
        name=fold.name,
        family=fit.family.name,
        left=fit.fitted_cells,
        cells=tuple(cells),
        mae_ln=cell.mean(np.abs(errors)),
        coverage=cell.mean(inside),
        half_width=cell.mean(half),
        winkler=cell.mean(winkler),
        band=_band(list(points.values())),
        warnings=fit.warnings,
    )


def _band(points: list[cell.Predicted]) -> Band | None:
    """Of runs that the fit says something of."""
    loss = np.concatenate([p.loss for p in points])
    best = np.concatenate([np.full(len(p.loss), p.loss.min()) for p in points])
    excess = np.concatenate([p.excess for p in points])
    known = np.isfinite(excess)
    if not known.any():
        return None
    inside = excess[known] <= np.log1p(TOL)
    return band(inside, loss[known], best[known], TOL)
