"""What `compare` computes: rows on every cell, or every law at one point."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from surrogate.answers import Fit, Surface, from_runs, laws_on_cells, load
from surrogate.answers.laws_at_point import beside
from surrogate.answers.laws_on_cells import Entry
from surrogate.base.errors import DataError
from surrogate.base.late import Late
from surrogate.cli import compiled, documents, output
from surrogate.cli.progress import warn
from surrogate.data import Runs
from surrogate.storage import archive

if TYPE_CHECKING:
    from surrogate.laws import Shape
    from surrogate.numerics import least_squares
else:
    # Stored scores and fits are shown without waiting for a fit.
    least_squares = Late("surrogate.numerics.least_squares")

# Of the families the best on both kinds of folds, and slower than the quadratic.
DEFAULT_FAMILY = "bowl"


def fit_of(
    name: str | None,
    runs: Runs | None,
    family: str | None,
    seed: int,
    progress: least_squares.Progress,
) -> Fit:
    """The fit named, the bundled one of the same files, or one of the runs."""
    if name is not None:
        return load(name)
    assert runs is not None
    bundled = None if family else _bundled_of(laws_on_cells.Cells(runs))[1]
    if bundled is not None:
        return bundled
    compiled.keep(warn)
    return from_runs.fit(
        runs, family=family or DEFAULT_FAMILY, bootstrap=0, seed=seed, progress=progress
    )


def at_point(
    surface: Surface, shape: Shape | None, seq_len: float | int | None
) -> dict[str, Any]:
    """The document of one point."""
    best, sides = beside(surface, shape=shape, seq_len=seq_len)
    answer = best.to_json()
    return {
        **answer,
        "optimum": {name: answer[name] for name in ("lr", "batch", "loss")},
        "laws": [dataclasses.asdict(side) for side in sides],
    }


def on_cells(
    name: str | None,
    runs: Runs | None,
    family: str | None,
    seed: int,
    seq_len: float | int | None,
    progress: least_squares.Progress,
) -> dict[str, Any]:
    """The document of every cell, the surrogate's row from cells left out.

    Scores that a fit of the same files has stored are taken, with no family asked for.
    """
    fit = None if name is None else load(name)
    if fit is not None:
        runs = _runs_of(fit, runs)
    assert runs is not None
    cells = laws_on_cells.Cells(runs)
    source = "the fit"
    if fit is None and family is None:
        source, fit = _bundled_of(cells)
    family = fit.family.name if fit is not None else family or DEFAULT_FAMILY

    def surrogate() -> Entry:
        if fit is not None:
            return _stored(fit, source)
        compiled.keep(warn)
        progress.start(f"Leaving out cells, {family}", len(cells.indices))
        return laws_on_cells.score_surrogate(
            cells, family, seed=seed, progress=progress
        )

    entries = laws_on_cells.score_all(cells, surrogate, seq_len)
    return documents.with_common_keys(
        {
            "schema": output.SCHEMA,
            "runs": len(runs),
            "runs_diverged": int(runs.diverged.sum()),
            "cells": len(cells.indices),
            "family": family,
            "loss_kind": runs.loss_kind,
            "params_kind": runs.params_kind,
            "laws": [_entry_json(entry, cells) for entry in entries],
            "status": "ok",
            "warnings": list(runs.warnings),
        }
    )


def _runs_of(fit: Fit, runs: Runs | None) -> Runs:
    """The runs that a fit was fitted to, its own or as named."""
    if runs is None and fit.runs is not None:
        return fit.runs
    if runs is None:
        raise DataError(
            "compare: the fit carries no runs to score laws on. Name their file with "
            "--runs FILE, or ask at one point with --params and --tokens."
        )
    mine = sorted(source["sha256"] for source in fit.provenance.sources)
    if sorted(source.sha256 for source in runs.sources) != mine:
        raise DataError(
            "compare: expected the runs that the fit was fitted to, of which its "
            "stored scores are, got other files (SHA-256 differs). `surrogate compare "
            "RUNS` leaves cells of those out itself."
        )
    return runs


def _bundled_of(cells: laws_on_cells.Cells) -> tuple[str, Fit | None]:
    """The bundled fit of the very same files, read in the same way, if there is one."""
    mine = sorted(source.sha256 for source in cells.runs.sources)
    for name in archive.bundled():
        fit = load(name)
        theirs = sorted(source["sha256"] for source in fit.provenance.sources)
        asked, known = cells.features, fit.features
        if mine == theirs and (
            (asked.choices, asked.givens, asked.recipes, cells.runs.loss_kind)
            == (known.choices, known.givens, known.recipes, fit.loss_kind)
        ):
            return name, fit
    return "", None


def _stored(fit: Fit, source: str) -> Entry:
    title = f"the surrogate ({fit.family.name})"
    if not fit.scores:
        reason = f"{source} has no held-out scores: it has too few cells."
        return Entry("surrogate", title, None, reason=reason)
    return Entry(
        name="surrogate",
        title=title,
        sample=laws_on_cells.HELD_OUT,
        regret=fit.scores["regret"],
        regret_smoothed=fit.scores["regret_smoothed"],
        warnings=(
            f"Scores stored with {source}, each cell left out in turn; --family "
            "computes them anew.",
        ),
    )


def _entry_json(entry: Entry, cells: laws_on_cells.Cells) -> dict[str, Any]:
    rows = zip(cells.indices, entry.cells, strict=False)
    return {
        "name": entry.name,
        "title": entry.title,
        "sample": entry.sample,
        "regret": entry.regret,
        "regret_smoothed": entry.regret_smoothed,
        "outside_grid": entry.outside,
        "warnings": list(entry.warnings),
        "reason": entry.reason,
        "cells": [
            {
                "recipe": cells.runs.cells[index].recipe,
                "params": cells.runs.cells[index].params,
                "tokens": cells.runs.cells[index].tokens,
                "scales": dict(cells.runs.cells[index].scales),
                **score,
            }
            for index, score in rows
        ],
    }
