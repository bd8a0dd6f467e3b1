"""Which families are fitted to all runs, with what weights, and why."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from surrogate import families
from surrogate.base.defaults import AUTO
from surrogate.base.errors import DataError
from surrogate.base.shapes import Float64
from surrogate.data import Runs
from surrogate.data.coordinates import Features
from surrogate.families import MIX, Family, Mix, Shape
from surrogate.fitting import (
    clusters,
    cross_validation,
    few_cells,
    replicates,
    resampling,
    stacking,
)
from surrogate.fitting.cross_validation import HeldOut
from surrogate.fitting.replicates import Fitted
from surrogate.fitting.stacking import Mixture
from surrogate.fitting.task import Task
from surrogate_kernels.dispatch import Backend

# K of the posynomials of a mix.
MIX_TERMS = (3, 4, 5)
# What is made of several families.
MIXED = (AUTO, MIX)
# Of resamples of the cells, in which a family must be the best to be called so.
_SURE = 0.8
# A candidate that fewer resamples would choose is no rival: draws do not take it.
_RIVAL = 0.05


class Table(NamedTuple):
    """A table as it is scored: all of its runs, their coordinates, and the task.

    `host`: whose arithmetic runs what is not draws.
    """

    runs: Runs
    features: Features
    task: Task
    host: Backend


class Choice(NamedTuple):
    """What is fitted to all runs, and why.

    Attributes:
        parts: families, by name.
        weights: of the parts, a line for each candidate that draws may take; first that
            of the fit.
        held: the candidates' scores on cells left out.
        mixture: where a mix is one of them.
        chosen: name of the first.
        scores: its scores, for people.
        record: what is said of the choice.
        warnings: what a user should hear of it.
    """

    parts: dict[str, Family]
    weights: Float64[np.ndarray, "candidates parts"]
    held: dict[str, HeldOut]
    mixture: Mixture | None
    chosen: str
    scores: dict[str, Any]
    record: dict[str, Any] | None
    warnings: list[str]

    def with_forms(self, members: dict[str, Family]) -> Choice:
        """With all forms that leaves lean to; their mean where none is chosen."""
        more = [n for n in few_cells.SHAPES if n not in self.parts]
        if not self.held:
            parts = {name: members[name] for name in few_cells.SHAPES}
            even = np.full((1, len(parts)), 1 / len(parts))
            return self._replace(parts=parts, weights=even, chosen=MIX)
        return self._replace(
            parts=self.parts | {name: members[name] for name in more},
            weights=np.pad(self.weights, ((0, 0), (0, len(more)))),
        )

    def alone(self, own: list[str]) -> Choice:
        """Without rivals: of these parts, which the fit is made of."""
        columns = [list(self.parts).index(name) for name in own]
        return self._replace(
            parts={name: self.parts[name] for name in own},
            weights=self.weights[:1, columns],
            held={self.chosen: self.held[self.chosen]},
            mixture=self.mixture if self.chosen == MIX else None,
            warnings=[
                *self.warnings,
                "Interrupted before rival families were fitted: draws and intervals do "
                "not count the choice among families.",
            ],
        )

    def weights_under(
        self, counts: Float64[np.ndarray, "replicas cells"]
    ) -> Float64[np.ndarray, "replicas candidates parts"]:
        """`weights`, were the cells there so often: a mix has others then."""
        found = np.tile(self.weights, (len(counts), 1, 1))
        if self.mixture:
            columns = [list(self.parts).index(name) for name in self.mixture.weights]
            row = list(self.held).index(MIX)
            found[:, row, columns] = self.mixture.weights_under(counts)
        return found


def members_of(family: str, shape: Shape, terms: int) -> dict[str, Family]:
    """What is fitted, by name."""
    if family == MIX:
        found = {name: families.make(name, shape, terms) for name in families.NAMES}
        del found["posynomial"]
        more = {
            f"posynomial-{k}": families.make("posynomial", shape, k) for k in MIX_TERMS
        }
        return found | more
    names = families.NAMES if family == AUTO else (family,)
    return {name: families.make(name, shape, terms) for name in names}


def held_out(
    members: dict[str, Family], table: Table
) -> tuple[dict[str, HeldOut], list[str]]:
    """Scores of each family on cells left out, and what a user should hear of them."""
    runs, features, task, host = table
    if task.cells < cross_validation.MIN_CELLS:
        return {}, [
            f"There are fewer than {cross_validation.MIN_CELLS} cells ({task.cells}): "
            "none could be left out, so the fit has no held-out scores."
        ]
    folds = cross_validation.both(runs, task.rows, features)
    warnings = []
    if len(members) > 1 and cross_validation.LARGEST not in folds.protocol:
        warnings = [
            f"There are too few cells ({task.cells}) to leave the largest out: "
            "families were compared by leaving out each cell alone, which says little "
            "of larger runs."
        ]
    held = {}
    for name, member in members.items():
        replicates.start(task.progress, f"Leaving out cells, {name}", len(folds.held))
        found = cross_validation.leave_out(
            *(member, features, task.rows, runs, task.box, folds),
            seed=task.seed,
            backend=host,
            progress=task.progress,
        )
        if found.is_whole():
            held[name] = found
        else:
            warnings.append(f"{name} failed on some cells left out and is not chosen.")
    return held, warnings


def choose(
    family: str, members: dict[str, Family], held: dict[str, HeldOut], table: Table
) -> Choice:
    """The family asked for, or the best on cells left out, with rivals for draws.

    Draws of few cells do not choose anew: leaves lean to every form instead.
    """
    task = table.task
    candidates = dict(held)
    mixture, warnings = _mixed(family, held, table)
    if mixture and (family == MIX or len(mixture.weights) > 1):
        candidates[MIX] = mixture.held
    if not candidates:
        # With nothing held out to choose by, the first family is the simplest.
        name, first = next(iter(members.items()))
        found = Choice({name: first}, np.ones((1, 1)), {}, None, name, {}, None, [])
    else:
        chosen, record = cross_validation.choose(
            candidates,
            MIX if family == MIX else None,
            mixture.weights if mixture else None,
        )
        play = [chosen]
        if family == AUTO:
            chooses = task.has_draws and not task.is_few
            shares = record["shares"]
            if chooses:
                play += [n for n, s in shares.items() if n != chosen and s >= _RIVAL]
            if shares[chosen] < _SURE:
                warnings.append(_unsure(chosen, shares, chooses))
        found = _playing(play, members, candidates, mixture, record)
        found = found._replace(warnings=warnings)
    return found.with_forms(members) if task.is_few and family == AUTO else found


def _mixed(
    family: str, held: dict[str, HeldOut], table: Table
) -> tuple[Mixture | None, list[str]]:
    """A mix of the candidates that settled, where one is wanted.

    Raises:
        DataError: it was asked for, and there is none.
    """
    runs, features, task, host = table
    settled = {name: h for name, h in held.items() if not h.unsettled}
    mixture = None
    if family in MIXED and settled:
        mixture = stacking.mix(settled, features, task.rows, runs, host)
    if family != MIX:
        return mixture, []
    if mixture is None:
        raise DataError(
            "A mix weighs its members by their errors on cells left out, but there "
            f"are too few cells for that ({task.cells}), or no member's fit settled. "
            "Add runs at other sizes, or take --family auto."
        )
    idle = [
        f"{name} (not settled on {h.unsettled} of {len(h.theta)} folds)"
        if h.unsettled
        else name
        for name, h in held.items()
        if name not in mixture.weights
    ]
    return mixture, [f"No weight in the mix: {', '.join(idle)}."] if idle else []


def _playing(
    play: list[str],
    members: dict[str, Family],
    candidates: dict[str, HeldOut],
    mixture: Mixture | None,
    record: dict[str, Any],
) -> Choice:
    """A choice among these candidates, the first of which is the fit."""
    own = {name: {name: 1.0} for name in members}
    if mixture:
        own[MIX] = mixture.weights
    parts = {n: members[n] for n in members if any(n in own[c] for c in play)}
    weights = np.array([[own[c].get(n, 0.0) for n in parts] for c in play])
    scores = dict(candidates[play[0]].summary())
    played = {name: candidates[name] for name in play}
    mixed_in = mixture if MIX in played else None
    return Choice(parts, weights, played, mixed_in, play[0], scores, record, [])


def _unsure(chosen: str, shares: dict[str, float], has_draws: bool) -> str:
    rivals = {n: s for n, s in shares.items() if n != chosen and s > 0}
    named = ", ".join(f"{name} {share:.0%}" for name, share in rivals.items())
    return (
        f"The choice of {chosen} is not settled: had other cells of this kind been "
        f"run, it would have been taken {shares[chosen]:.0%} of the time ({named})."
    ) + (" Each draw and interval makes the choice anew." if has_draws else "")


def joined(choice: Choice, parts: dict[str, Fitted], task: Task) -> Fitted:
    """One fit: a family alone, a mix, or a choice that each draw makes anew.

    Of resampled cells a candidate's scores are those of the cells drawn, as often as
    they were, and so are the weights of a mix; all copies of a cell are left out
    together. Leaves weigh without their cells, and take shares of the rivals
    (`_selection_shares`).
    """
    first = next(iter(parts.values()))
    if len(parts) == 1 and choice.chosen != MIX:
        return first
    counts = resampling.cell_counts(task.rows, len(first.draws), task.seed)
    taken = cross_validation.winners(list(choice.held.values()), counts)
    share = np.bincount(taken, minlength=len(choice.held)) / max(len(taken), 1)
    without = clusters.units(task.rows).cells.astype(float)[: len(first.leaves)]
    shares = replicates.Shares(
        choice.weights[0],
        choice.weights_under(counts)[np.arange(len(taken)), taken],
        _selection_shares(share, len(without)) @ choice.weights_under(without),
    )
    members = tuple(part.family for part in parts.values())
    chosen = choice.chosen if choice.chosen in parts else None
    family = Mix(first.family.shape, members, chosen)
    found = replicates.join(family, shares, parts)
    return found._replace(freedom=first.freedom)


def _selection_shares(
    share: Float64[np.ndarray, " candidates"], cells: int
) -> Float64[np.ndarray, " candidates"]:
    """Shares that add model-selection variance to the jackknife.

    Selection is discontinuous in the runs, so refits without one cell miss it. Where a
    rival is chosen in a share s of resamples and its answer is off by d, the variance
    is s d^2 more. Leaves that take it by sqrt(s / (cells - 1)) have answers off by that
    share of d, each, and their jackknife is so much more.
    """
    lean = np.sqrt(share / max(cells - 1, 1))
    lean[0] = 0.0
    lean /= max(1.0, lean.sum())
    lean[0] = 1 - lean.sum()
    return lean
