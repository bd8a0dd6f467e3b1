"""Laws scored on the cells of a table of runs, beside the surrogate and a refit.

Every row is read off each cell's own runs (`cross_validation.score`). What the row was
fitted to is part of it: a law on its own runs is in-sample, the surrogate and the
refitted recipe never see the cell that they are scored on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from surrogate import families
from surrogate.base.defaults import ACTIVE, SEED, TERMS
from surrogate.base.errors import DataError
from surrogate.base.late import Late
from surrogate.data import Runs
from surrogate.data.coordinates import Features
from surrogate.families import Shape
from surrogate.fitting import cross_validation
from surrogate.fitting.scores import CellScore, Spread, mean_se, read_off
from surrogate.laws.evaluate import Point, evaluate
from surrogate.laws.law import Law
from surrogate.laws.published import LAWS
from surrogate.laws.step_law import near_best, step_law_recipe

if TYPE_CHECKING:
    from surrogate.fitting import irls
    from surrogate.numerics import least_squares
else:
    least_squares, irls = (
        Late("surrogate.numerics.least_squares"),
        Late("surrogate.fitting.irls"),
    )

IN_SAMPLE, OUT, HELD_OUT = "in-sample", "out-of-sample", "held-out"
# What `--scale` may call the active parameters of a mixture of experts.
# In the title of a layout (`readers.columns`) of mixtures of experts.
MOE = "MoE"
# lr and batch at a cell.
Proposal = tuple[float, float]
_MIN_CELLS = 3


@dataclass(frozen=True)
class Entry:
    """One row of the comparison.

    Attributes:
        name: of the law, or of the estimator.
        title: for people.
        sample: `in-sample`, `out-of-sample` or `held-out`; None where not scored.
        cells: scores, one a scored cell; empty where stored scores or none are known.
        regret: over cells, fractions.
        regret_smoothed: likewise.
        outside: cells at which the proposal is outside the grid; None: not known.
        warnings: what is not as the law was fitted.
        reason: why it is not scored; None where it is.
    """

    name: str
    title: str
    sample: str | None
    cells: tuple[CellScore, ...] = ()
    regret: Spread | None = None
    regret_smoothed: Spread | None = None
    outside: int | None = None
    warnings: tuple[str, ...] = ()
    reason: str | None = None

    @classmethod
    def of(
        cls,
        name: str,
        title: str,
        sample: str,
        cells: list[CellScore],
        warnings: list[str] | None = None,
    ) -> Entry:
        """A scored row."""
        return cls(
            name=name,
            title=title,
            sample=sample,
            cells=tuple(cells),
            regret=mean_se([cell["regret"] for cell in cells]),
            regret_smoothed=mean_se([cell["regret_smoothed"] for cell in cells]),
            outside=sum(bool(cell["outside_grid"]) for cell in cells),
            warnings=tuple(dict.fromkeys(warnings or [])),
        )


class Cells:
    """The cells of a table as places where a proposal can be read off."""

    def __init__(self, runs: Runs) -> None:
        """Of these runs.

        Raises:
            DataError: neither lr nor batch varies within a cell.
        """
        self.runs = runs
        self.features = Features.of(runs)
        self.fixed = [n for n in ("lr", "batch") if n not in self.features.choices]
        # A cell of which no run finished has nothing to be read.
        self.indices = [i for i, c in enumerate(runs.cells) if c.runs > c.diverged]

    def score(self, cell: int, lr: float, batch: float) -> CellScore:
        """What a setting loses at a cell; one that no cell varies is the cell's own."""
        at = {"lr": lr, "batch": batch}
        proposed = np.array([at[name] for name in self.features.choices])
        return cross_validation.score(self.runs, cell, self.features, proposed)

    def loss(self, cell: int, lr: float, batch: float) -> float:
        """The loss [nats per token] that a setting reads, without a local cubic."""
        rates, batches, losses = cross_validation.measured(self.runs, cell)
        at_lr = float(np.median(rates)) if "lr" in self.fixed else lr
        at_batch = float(np.median(batches)) if "batch" in self.fixed else batch
        return read_off(rates, batches, losses, at_lr, at_batch).loss

    def levels(self, cell: int, column: np.ndarray) -> list[float]:
        """The values that a cell's finished runs take."""
        members = (self.runs.cell == cell) & self.runs.usable
        return np.unique(column[members]).tolist()

    def point(self, cell: int, seq_len: float | int | None) -> Point:
        """A cell as a point of a law; its loss is the lowest measured one."""
        found = self.runs.cells[cell]
        scales = dict(found.scales)
        active = [scales[name] for name in ACTIVE if name in scales]
        return Point(
            params=found.params,
            tokens=found.tokens,
            active=active[0] if active else None,
            loss=found.best,
            seq_len=seq_len,
            params_kind=self.runs.params_kind,
            is_moe=any(MOE in note for note in self.runs.notes),
        )


def score_law(law: Law, cells: Cells, seq_len: float | int | None = None) -> Entry:
    """A law at every cell, or why it is not scored.

    A law of one setting gets the best of the other among the cell's own runs, which is
    more than it could know.
    """
    has_batch = law.batch is not None and not law.is_batch_critical
    chosen = ["lr"] * (law.lr is not None) + ["batch"] * has_batch
    if chosen and set(chosen) <= set(cells.fixed):
        reason = f"gives only {' and '.join(chosen)}, which no cell varies."
        return Entry(law.name, law.title, None, reason=reason)
    found: list[CellScore] = []
    warnings: list[str] = []
    try:
        for cell in cells.indices:
            score, said = _best_of_law(law, cells, cell, seq_len)
            found.append(score)
            warnings += said
    except DataError as error:
        reason = str(error).removeprefix(f"law {law.name}: ")
        return Entry(law.name, law.title, None, reason=reason)
    own = any(title in note for title in law.fitted_on for note in cells.runs.notes)
    warnings += [
        f"No cell varies {name}: its {name} is not judged."
        for name in cells.fixed
        if name in chosen
    ]
    sample = IN_SAMPLE if own else OUT
    return Entry.of(law.name, law.title, sample, found, _without_numbers(warnings))


def _best_of_law(
    law: Law, cells: Cells, cell: int, seq_len: float | int | None
) -> tuple[CellScore, list[str]]:
    point = cells.point(cell, seq_len)
    warnings: list[str] = []
    candidates: list[Proposal] = []
    batches = cells.levels(cell, cells.runs.batch)
    has_batch = law.batch is not None and not law.is_batch_critical
    if not has_batch:
        said = "Its batch is critical, not best" if law.batch else "Gives no batch"
        warnings.append(f"{said}: it gets the best of each cell's own.")
    elif law.batch and "L" in law.batch.variables:
        warnings.append("Its batch is from the cell's lowest measured loss.")
    if law.lr is None:
        warnings.append("Gives no lr: it gets the best of each cell's own.")
    for batch in [None] if has_batch else batches:
        choice = evaluate(law, point, batch=batch, is_compute_approximate=True)
        warnings += choice.warnings
        at = choice.batch if batch is None else batch
        assert at is not None
        rates = (
            [choice.lr]
            if choice.lr is not None
            else cells.levels(cell, cells.runs.lr_level)
        )
        candidates += [(lr, at) for lr in rates]
    best = min(candidates, key=lambda at: cells.loss(cell, *at))
    return cells.score(cell, *best), warnings


def _without_numbers(warnings: list[str]) -> list[str]:
    """One warning of a kind: those of ranges differ by cell in their numbers."""
    kinds = {}
    for text in warnings:
        kind = text.split(" is outside its fitted range")
        said = f"{kind[0].split(' = ')[0]} is outside its fitted range in some cells."
        kinds[said if len(kind) > 1 else text] = None
    return list(kinds)


def score_recipe(cells: Cells, *, is_params_in_batch: bool) -> Entry:
    """Step Law's recipe, refitted without the cell that it is scored on."""
    name = "step-law-refit" + ("-n" if is_params_in_batch else "")
    title = "Step Law's recipe refitted" + (
        ", N in the batch law" if is_params_in_batch else ""
    )
    if len(cells.indices) <= _MIN_CELLS or cells.fixed:
        fixed = f" that do not vary {' or '.join(cells.fixed)}" if cells.fixed else ""
        reason = (
            f"expected more than {_MIN_CELLS} cells that vary lr and batch, got "
            f"{len(cells.indices)}{fixed}."
        )
        return Entry(name, title, None, reason=reason)
    runs = cells.runs
    near = near_best(runs.loss, runs.cell) & runs.usable
    found = []
    for cell in cells.indices:
        kept = near & (runs.cell != cell)
        law = step_law_recipe(
            runs.lr[kept],
            runs.batch[kept],
            runs.params[kept],
            runs.tokens[kept],
            is_params_in_batch=is_params_in_batch,
        )
        at = runs.cells[cell]
        found.append(cells.score(cell, *law(at.params, at.tokens)))
    return Entry.of(name, title, HELD_OUT, found)


def score_surrogate(
    cells: Cells,
    family: str,
    *,
    terms: int = TERMS,
    seed: int = SEED,
    progress: least_squares.Progress | None = None,
) -> Entry:
    """A family of the library, refitted without the cell that it is scored on."""
    title = f"the surrogate ({family})"
    if len(cells.indices) < cross_validation.MIN_CELLS:
        reason = (
            f"expected at least {cross_validation.MIN_CELLS} cells to leave one out."
        )
        return Entry("surrogate", title, None, reason=reason)
    irls.make_room()
    features = cells.features
    rows = features.rows(cells.runs)
    shape = Shape(len(features.choices), len(features.givens), features.offsets)
    held = cross_validation.leave_out(
        families.make(family, shape, terms),
        features,
        rows,
        cells.runs,
        features.box(),
        cross_validation.one_by_one(rows),
        seed=seed,
        progress=progress,
    )
    warnings = []
    if held.unsettled:
        warnings = [f"{held.unsettled} of its folds had not settled."]
    scores = [cell.score for cell in held.cells]
    return Entry.of("surrogate", title, HELD_OUT, scores, warnings)


def score_all(
    cells: Cells, surrogate: Callable[[], Entry], seq_len: float | int | None = None
) -> list[Entry]:
    """All rows: the surrogate, the refitted recipe both ways, every published law."""
    return [
        surrogate(),
        score_recipe(cells, is_params_in_batch=False),
        score_recipe(cells, is_params_in_batch=True),
        *(score_law(law, cells, seq_len) for law in LAWS),
    ]
