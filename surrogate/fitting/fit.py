"""A fit to a table of runs: choose a family, fit it, resample it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import date
from importlib import metadata
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float64

from surrogate import families
from surrogate.base import interrupts
from surrogate.base.about import check_about, known_about
from surrogate.base.defaults import AUTO, BOOTSTRAP, FAMILIES, SEED, TERMS
from surrogate.base.errors import DataError
from surrogate.data import Runs
from surrogate.data.coordinates import Features, Rows
from surrogate.families import MIX, Family, Mix, Shape
from surrogate.fitting import (
    calibration,
    cross_validation,
    evidence,
    few_cells,
    fit_time,
    intervals,
    irls,
    replicates,
    stacking,
)
from surrogate.fitting.cross_validation import HeldOut
from surrogate.fitting.evidence import unclear
from surrogate.fitting.model import CellRecord, Model, Provenance
from surrogate.fitting.objective import Objective, measure_noise
from surrogate.fitting.propagation import noise_of
from surrogate.fitting.replicates import Fitted
from surrogate.fitting.shards import Shards
from surrogate.fitting.stability import Stability, lowest_unstable
from surrogate.fitting.stacking import Mixture
from surrogate.numerics import least_squares
from surrogate.numerics.batches import Device
from surrogate.numerics.least_squares import Progress
from surrogate_kernels.dispatch import Backend

# K of the posynomials of a mix.
MIX_TERMS = (3, 4, 5)
# Of resamples of the cells, in which a family must be the best to be called so.
_SURE = 0.8
# A candidate that fewer resamples would choose is no rival: draws do not take it.
_RIVAL = 0.05
# Fits that selecting takes, at least, for a guess at the work.
_FOLDS = 100
# What is made of several families.
MIXED = (AUTO, MIX)
# What a report of a wrong answer needs to say.
_PACKAGES = ("loss-surrogate", "jax", "jaxlib", "numpy", "orbax-checkpoint")


def fit_model(
    runs: Runs,
    *,
    family: str = AUTO,
    terms: int = TERMS,
    bootstrap: int = BOOTSTRAP,
    seed: int = SEED,
    device: str = "auto",
    backend: str = "auto",
    progress: Progress | None = None,
    about: Mapping[str, str] | None = None,
    shards: Shards | None = None,
) -> Model:
    """The fit of `surrogate.fit`, where arguments and errors are described."""
    check(family, terms, bootstrap, seed)
    kinds = {"params_kind": runs.params_kind, "loss_kind": runs.loss_kind}
    said = check_about(about or {}, kinds)
    said = known_about(asdict(source) for source in runs.sources) | said
    irls.make_room()
    place = least_squares.pick_device(device)
    with jax.default_device(place):
        asked = runs, family, terms, bootstrap, seed, (place, backend)
        found = _fit(*asked, progress, shards)
    return replace(found, about=said)


def check(family: str, terms: int, bootstrap: int, seed: int) -> None:
    """Refuse what cannot be fitted, before any work.

    Raises:
        DataError: naming the argument.
    """
    if family not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise DataError(f"Expected a family among {known}, got {family!r}.")
    for name, value in (("bootstrap", bootstrap), ("seed", seed)):
        if value < 0:
            raise DataError(f"Expected {name} to be at least 0, got {value}.")
    if not 2 <= terms <= 8:
        raise DataError(f"Expected 2 to 8 terms for the posynomial, got {terms}.")


def _fit(
    runs: Runs,
    family: str,
    terms: int,
    bootstrap: int,
    seed: int,
    place: tuple[Device, str],
    progress: Progress | None,
    shards: Shards | None,
) -> Model:
    features = Features.of(runs)
    rows = features.rows(runs)
    box = features.box()
    shape = Shape(len(features.choices), len(features.givens), features.offsets)
    members = _members(family, shape, terms)
    work = work_of(len(rows.target), bootstrap)
    # Of all candidates, so that a named one that cannot run is refused before the work.
    device, backend = place
    backends: dict[str, Backend] = {
        name: least_squares.pick_backend(backend, device, member, work)
        for name, member in members.items()
    }
    # The same for all: kernels, which not all families have, run draws alone.
    host = least_squares.arithmetic(next(iter(backends.values())))
    held, warnings = _held_out(members, features, rows, runs, box, seed, host, progress)
    has_draws = intervals.has_draws(rows, shape.choices, bootstrap)
    is_few = len(np.unique(rows.cell)) < intervals.MIN_CELLS_PAIRS
    # Draws of few cells do not choose anew: leaves lean to every form instead.
    chooses = has_draws and not is_few
    choice = _choose(family, members, held, rows, runs, features, chooses, host)
    if is_few and family == AUTO:
        choice = choice.with_forms(members)

    def fit_all(name: str, completes: bool) -> Fitted:
        return replicates.fit_all(
            choice.parts[name],
            rows,
            box,
            features.u_scale,
            bootstrap=bootstrap,
            seed=seed,
            backend=backends[name],
            completes=completes,
            progress=progress,
            shards=shards,
        )

    # Before the draws, so that a stop among them keeps a whole fit.
    own = {n: float(w) for n, w in zip(choice.parts, choice.weights[0], strict=True)}
    left_out = None
    if has_draws and choice.held:
        left_out = calibration.leave_out(
            {name: part for name, part in choice.parts.items() if own[name]},
            *(own, features, rows, runs, box),
            seed=seed,
            backend=host,
            progress=progress,
        )
    taken, parts = _fitted_parts(choice, fit_all)
    if is_few and len(parts) > 1:
        forms = [n for n in parts if family == MIX or n in few_cells.SHAPES]
        found = few_cells.average(
            parts,
            taken.weights[0] if taken.held else None,
            taken.chosen if taken.chosen in parts else None,
            forms,
            bootstrap,
        )
    else:
        found = _joined(taken, parts, rows, seed)
    # A choice among families is the one chosen, whose program is compiled already.
    alone = parts.get(choice.chosen, found)
    surface = irls.evaluate(alone.family, rows, alone.theta[None], box, host)
    _stop(progress)
    residual = rows.target - surface.fitted[0]
    spread = Objective().spread(found.excess)
    noise = (noise_of if is_few else measure_noise)(
        residual, surface.excess[0], rows.cell
    )
    wrong = None
    if has_draws and taken.held:
        one_out = taken.held[taken.chosen]
        wrong = calibration.measure(left_out, one_out, features, rows, runs, noise)
    done = Model(
        family=found.family,
        features=features,
        theta=found.theta,
        draws=found.draws,
        leaves=found.leaves,
        noise=noise,
        discrepancy=wrong,
        stability=Stability.of(runs),
        cells=_records(runs, features, surface.cell_u[0]),
        freedom=found.freedom,
        evidence=evidence.directions(features, rows, runs, spread),
        scores=choice.scores,
        is_converged=bool(found.quality["is_settled"]),
        loss_kind=runs.loss_kind,
        loss_unit=runs.loss_unit,
        params_kind=runs.params_kind,
        provenance=Provenance(
            sources=tuple(asdict(source) for source in runs.sources),
            versions=versions(),
            created=date.today().isoformat(),
            seed=seed,
            bootstrap=bootstrap,
            device=device.platform,
            backend=found.backend,
            runs=len(runs),
            diverged=int(runs.diverged.sum()),
            dropped=len(runs.dropped),
            fit=found.quality,
            selection=choice.record,
        ),
        warnings=tuple(
            dict.fromkeys(
                [
                    *runs.warnings,
                    *features.notes(),
                    *warnings,
                    *taken.warnings,
                    *found.warnings,
                    *_idle(backend, found.backend),
                ]
            )
        ),
        runs=runs,
    )
    doubts = [unclear(done.evidence.get(name), name) for name in features.choices]
    return replace(done, warnings=(*done.warnings, *filter(None, doubts)))


def seconds(
    runs: Runs,
    *,
    family: str = AUTO,
    terms: int = TERMS,
    bootstrap: int = BOOTSTRAP,
    device: str = "auto",
    backend: str = "auto",
    **others: Any,
) -> float | None:
    """How long `fit` will take of these arguments; None where short or not on NumPy.

    Args:
        runs: what is fitted.
        family: as of `fit`.
        terms: likewise.
        bootstrap: likewise.
        device: likewise.
        backend: likewise.
        **others: arguments that cost no time.
    """
    del others
    place = least_squares.pick_device(device)
    rows = int(runs.usable.sum())
    taken = least_squares.pick_backend(backend, place, None, work_of(rows, bootstrap))
    if taken != "numpy":
        return None
    return fit_time.seconds(runs, family=family, terms=terms, bootstrap=bootstrap)


def work_of(rows: int, bootstrap: int) -> int:
    """Rows times fits, by which `auto` chooses a backend."""
    return rows * max(bootstrap, _FOLDS)


class _Choice(NamedTuple):
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

    def with_forms(self, members: dict[str, Family]) -> _Choice:
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

    def alone(self, own: list[str]) -> _Choice:
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


def _fitted_parts(
    choice: _Choice, fit_all: Callable[[str, bool], Fitted]
) -> tuple[_Choice, dict[str, Fitted]]:
    """Fit all parts; after an interrupt those that the fit itself is made of suffice.

    They come first. From when the last of them has a draw, a stop keeps the fit, and
    its rivals are left out.

    Raises:
        KeyboardInterrupt: there is no whole fit yet.
    """
    own = [name for name, w in zip(choice.parts, choice.weights[0], strict=True) if w]
    done: dict[str, Fitted] = {}
    is_cut = False
    for name in sorted(choice.parts, key=lambda name: name not in own):
        interrupts.keep(set(own) <= done.keys())
        try:
            done[name] = fit_all(name, set(own) <= {*done, name})
        except KeyboardInterrupt:
            is_cut = True
        else:
            is_cut = bool(done[name].quality.get("draws_interrupted"))
        if is_cut:
            break
    if not set(own) <= done.keys():
        raise KeyboardInterrupt
    if is_cut and not choice.parts.keys() <= done.keys():
        choice = choice.alone(own)
    parts = {name: done[name] for name in choice.parts}
    if is_cut:
        first = next(iter(parts))
        cut = parts[first].quality | {"draws_interrupted": True}
        parts[first] = parts[first]._replace(quality=cut)
    return choice, parts


def _joined(choice: _Choice, parts: dict[str, Fitted], rows: Rows, seed: int) -> Fitted:
    """One fit: a family alone, a mix, or a choice that each draw makes anew.

    Of resampled cells a candidate's scores are those of the cells drawn, as often as
    they were, and so are the weights of a mix; all copies of a cell are left out
    together. Leaves weigh without their cell, and lean to the rivals (`_leaning`).
    """
    first = next(iter(parts.values()))
    if len(parts) == 1 and choice.chosen != MIX:
        return first
    counts = intervals.cell_counts(rows, len(first.draws), seed)
    taken = cross_validation.winners(list(choice.held.values()), counts)
    share = np.bincount(taken, minlength=len(choice.held)) / max(len(taken), 1)
    cells = np.unique(rows.cell)
    without = 1.0 - np.eye(len(rows.cell_s))[cells][: len(first.leaves)]
    shares = replicates.Shares(
        choice.weights[0],
        choice.weights_under(counts)[np.arange(len(taken)), taken],
        _leaning(share, len(without)) @ choice.weights_under(without),
    )
    members = tuple(part.family for part in parts.values())
    chosen = choice.chosen if choice.chosen in parts else None
    return replicates.join(Mix(first.family.shape, members, chosen), shares, parts)


def _leaning(
    share: Float64[np.ndarray, " candidates"], cells: int
) -> Float64[np.ndarray, " candidates"]:
    """How far leaves take each candidate, to say what the choice adds to an error.

    A choice is no smooth function of the runs, so that leaving one cell out tells
    nothing of it. Where a rival is chosen in a share s of resamples and its answer is
    off by d, the variance is s d^2 more. Leaves that lean to it by sqrt(s / (cells -
    1)) have answers off by that share of d, each, and their jackknife is so much more.
    """
    lean = np.sqrt(share / max(cells - 1, 1))
    lean[0] = 0.0
    lean /= max(1.0, lean.sum())
    lean[0] = 1 - lean.sum()
    return lean


def _choose(
    family: str,
    members: dict[str, Family],
    held: dict[str, HeldOut],
    rows: Rows,
    runs: Runs,
    features: Features,
    has_draws: bool,
    host: Backend,
) -> _Choice:
    """The family asked for, or the best on cells left out, with rivals for draws."""
    candidates, mixture, warnings = dict(held), None, []
    mixed = {name: h for name, h in held.items() if not h.unsettled}
    if family in MIXED and mixed:
        mixture = stacking.mix(mixed, features, rows, runs, host)
        if family == MIX or len(mixture.weights) > 1:
            candidates[MIX] = mixture.held
    if family == MIX:
        if mixture is None:
            raise DataError(
                "A mix weighs its members by their errors on cells left out, but there "
                f"are too few cells for that ({len(np.unique(rows.cell))}), or no "
                "member's fit settled. Add runs at other sizes, or take --family auto."
            )
        idle = [
            f"{name} (not settled on {h.unsettled} of {len(h.theta)} folds)"
            if h.unsettled
            else name
            for name, h in held.items()
            if name not in mixture.weights
        ]
        warnings = [f"No weight in the mix: {', '.join(idle)}."] if idle else []
    if not candidates:
        # With nothing held out to choose by, the first family is the simplest.
        name, first = next(iter(members.items()))
        return _Choice({name: first}, np.ones((1, 1)), {}, None, name, {}, None, [])
    chosen, record = cross_validation.choose(
        candidates,
        MIX if family == MIX else None,
        mixture.weights if mixture else None,
    )
    shares = record["shares"]
    play = [chosen]
    if family == AUTO:
        if has_draws:
            play += [n for n, s in shares.items() if n != chosen and s >= _RIVAL]
        if shares[chosen] < _SURE:
            warnings.append(_unsure(chosen, shares, has_draws))
    own = {name: {name: 1.0} for name in members}
    if mixture:
        own[MIX] = mixture.weights
    parts = {n: members[n] for n in members if any(n in own[c] for c in play)}
    weights = np.array([[own[c].get(n, 0.0) for n in parts] for c in play])
    scores = dict(candidates[chosen].summary())
    played = {name: candidates[name] for name in play}
    mixed_in = mixture if MIX in played else None
    return _Choice(parts, weights, played, mixed_in, chosen, scores, record, warnings)


def _idle(backend: str, ran: str) -> list[str]:
    """That the kernels asked for had nothing to do: they refit resampled cells."""
    if backend in ("auto", ran):
        return []
    return [
        f"Nothing ran on the backend {backend}: no draw was refitted, for which it "
        f"takes {intervals.MIN_CELLS_PAIRS} cells and a bootstrap above 0."
    ]


def _unsure(chosen: str, shares: dict[str, float], has_draws: bool) -> str:
    rivals = {n: s for n, s in shares.items() if n != chosen and s > 0}
    named = ", ".join(f"{name} {share:.0%}" for name, share in rivals.items())
    return (
        f"The choice of {chosen} is not settled: had other cells of this kind been "
        f"run, it would have been taken {shares[chosen]:.0%} of the time ({named})."
    ) + (" Each draw and interval makes the choice anew." if has_draws else "")


def _members(family: str, shape: Shape, terms: int) -> dict[str, Family]:
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


def _held_out(
    members: dict[str, Family],
    features: Features,
    rows: Rows,
    runs: Runs,
    box: Float64[np.ndarray, "2 choices"],
    seed: int,
    host: Backend,
    progress: Progress | None,
) -> tuple[dict[str, HeldOut], list[str]]:
    cells = len(np.unique(rows.cell))
    if cells < cross_validation.MIN_CELLS:
        return {}, [
            f"There are fewer than {cross_validation.MIN_CELLS} cells ({cells}): none "
            "could be left out, so the fit has no held-out scores."
        ]
    folds = cross_validation.both(runs, rows, features)
    warnings = []
    if len(members) > 1 and cross_validation.LARGEST not in folds.protocol:
        warnings = [
            f"There are too few cells ({cells}) to leave the largest out: families "
            "were compared by leaving out each cell alone, which says little of larger "
            "runs."
        ]
    held = {}
    for name, member in members.items():
        replicates.start(progress, f"Leaving out cells, {name}", len(folds.held))
        found = cross_validation.leave_out(
            member,
            features,
            rows,
            runs,
            box,
            folds,
            seed=seed,
            backend=host,
            progress=progress,
        )
        if found.is_whole():
            held[name] = found
        else:
            warnings.append(f"{name} failed on some cells left out and is not chosen.")
    return held, warnings


def _records(
    runs: Runs, features: Features, cell_u: Float64[np.ndarray, "cells choices"]
) -> tuple[CellRecord, ...]:
    best = np.log(features.from_u(cell_u))
    values = {"lr": runs.lr_level, "batch": runs.batch}

    def around(index: int) -> dict[str, tuple[float, float]]:
        tried = (runs.cell == index) & (runs.usable | runs.diverged)
        found = {}
        for i, name in enumerate(features.choices):
            off = np.log(values[name][tried]) - best[index, i]
            if off.size:
                found[name] = float(off.min()), float(off.max())
        return found

    return tuple(
        CellRecord(
            recipe=cell.recipe,
            params=cell.params,
            tokens=cell.tokens,
            scales=dict(cell.scales),
            runs=cell.runs,
            diverged=cell.diverged,
            lr=tuple(np.unique(runs.lr_level[runs.cell == index]).tolist()),
            batch=tuple(np.unique(runs.batch[runs.cell == index]).tolist()),
            around=around(index),
            unstable=lowest_unstable(runs, index),
        )
        for index, cell in enumerate(runs.cells)
    )


def versions() -> dict[str, str]:
    """Of Python and of the packages that computed a fit."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def _stop(progress: Progress | None) -> None:
    if progress is not None:
        progress.stop()
