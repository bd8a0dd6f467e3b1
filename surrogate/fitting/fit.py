"""A fit to a table of runs: choose a family, fit it, resample it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date
from importlib import metadata
from typing import Any

import jax

from surrogate.base import interrupts
from surrogate.base.about import check_about, known_about
from surrogate.base.defaults import AUTO, BOOTSTRAP, FAMILIES, SEED, TERMS
from surrogate.base.errors import DataError
from surrogate.data import Runs
from surrogate.data.coordinates import Features
from surrogate.families import MIX, Shape
from surrogate.fitting import (
    calibration,
    clusters,
    evidence,
    few_cells,
    fit_time,
    intervals,
    irls,
    lack_of_fit,
    odd_runs,
    replicates,
)
from surrogate.fitting.choice import (
    Choice,
    Table,
    choose,
    held_out,
    joined,
    members_of,
)
from surrogate.fitting.cross_validation import HeldOut
from surrogate.fitting.evidence import unclear
from surrogate.fitting.model import NOWHERE, Model, Provenance
from surrogate.fitting.objective import Objective, measure_noise
from surrogate.fitting.propagation import noise_of
from surrogate.fitting.records import records_of
from surrogate.fitting.replicates import Fitted
from surrogate.fitting.run_noise import of_plateau
from surrogate.fitting.shards import Shards
from surrogate.fitting.stability import Stability
from surrogate.fitting.task import Task
from surrogate.fitting.two_sided import Near
from surrogate.numerics import least_squares
from surrogate.numerics.batches import Device
from surrogate.numerics.least_squares import Progress
from surrogate_kernels.dispatch import Backend

# Fits that selecting takes, at least, for a guess at the work.
_FOLDS = 100
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
    task = Task(
        *(rows, features.box(), features.u_scale, bootstrap, seed, progress, shards)
    )
    shape = Shape(len(features.choices), len(features.givens), features.offsets)
    members = members_of(family, shape, terms)
    work = work_of(len(rows.target), bootstrap)
    # Of all candidates, so that a named one that cannot run is refused before the work.
    device, backend = place
    backends: dict[str, Backend] = {
        name: least_squares.pick_backend(backend, device, member, work)
        for name, member in members.items()
    }
    # The same for all: kernels, which not all families have, run draws alone.
    host = least_squares.arithmetic(next(iter(backends.values())))
    table = Table(runs, features, task, host)
    held, warnings = held_out(members, table)
    choice = choose(family, members, held, table)
    # Before the draws, so that a stop among them keeps a whole fit.
    wrong = _regions_left_out(choice, table)
    taken, parts = _fitted_parts(choice, task, backends)
    found = _one(family, taken, parts, task)
    # A choice among families is the one chosen, whose program is compiled already.
    alone = parts.get(choice.chosen, found)
    done = _model(table, found, alone, taken, wrong)
    about = _provenance(runs, found, choice, task, device)
    said = [*runs.warnings, *features.notes(), *warnings, *taken.warnings]
    said += done.warnings
    said += [*found.warnings, *_idle(backend, found.backend)]
    doubts = [unclear(done.evidence.get(name), name) for name in features.choices]
    doubts = [text for text in doubts if text]
    odd = odd_runs.warnings_of(runs, done.noise, is_unclear=bool(doubts))
    every = (*dict.fromkeys(said), *doubts, *odd)
    scores = choice.scores
    return replace(done, provenance=about, scores=scores, warnings=every)


def _regions_left_out(choice: Choice, table: Table) -> HeldOut | None:
    """The chosen family on whole regions left out; None where there is no need."""
    runs, features, task, host = table
    if not (task.has_draws and choice.held):
        return None
    own = {n: float(w) for n, w in zip(choice.parts, choice.weights[0], strict=True)}
    return calibration.leave_out(
        {name: part for name, part in choice.parts.items() if own[name]},
        *(own, features, task.rows, runs, task.box),
        seed=task.seed,
        backend=host,
        progress=task.progress,
    )


def _one(family: str, choice: Choice, parts: dict[str, Fitted], task: Task) -> Fitted:
    """One fit of the parts."""
    if not task.is_few or len(parts) == 1:
        return joined(choice, parts, task)
    return few_cells.average(
        parts,
        choice.weights[0] if choice.held else None,
        choice.chosen if choice.chosen in parts else None,
        [n for n in parts if family == MIX or n in few_cells.SHAPES],
        task.bootstrap,
    )


def _model(
    table: Table,
    found: Fitted,
    alone: Fitted,
    choice: Choice,
    left_out: HeldOut | None,
) -> Model:
    """What was found, without where it comes from and what is said of it."""
    runs, features, task, host = table
    rows = task.rows
    surface = irls.evaluate(alone.family, rows, alone.theta[None], task.box, host)
    _stop(task.progress)
    excess, residual = surface.excess[0], rows.target - surface.fitted[0]
    noise = (noise_of if task.is_few else measure_noise)(residual, excess, rows.cell)
    near = None
    if found.spare is not None:
        noise = of_plateau(noise, rows, excess, alone.family.misfit, found.spare)
        off = rows.z[:, : len(task.unit)] - surface.cell_u[0][rows.cell]
        near = Near(off, excess, found.misfit, found.spare)
    spent = alone.family.size if found.spare is None else len(excess) - found.spare
    lack = lack_of_fit.measure(rows, residual, noise.within(excess), spent)
    wrong = None
    if task.has_draws and choice.held:
        one_out = choice.held[choice.chosen]
        wrong = calibration.measure(left_out, one_out, features, rows, runs, noise)
    spread = Objective().spread(found.excess)
    return Model(
        family=found.family,
        features=features,
        theta=found.theta,
        draws=found.draws,
        leaves=found.leaves,
        noise=noise,
        discrepancy=wrong,
        stability=Stability.of(runs),
        cells=records_of(runs, features, surface.cell_u[0]),
        freedom=found.freedom,
        clusters=clusters.count(rows),
        evidence=evidence.directions(features, rows, runs, spread, near),
        scores={},
        is_converged=bool(found.quality["is_settled"]),
        loss_kind=runs.loss_kind,
        loss_unit=runs.loss_unit,
        params_kind=runs.params_kind,
        provenance=NOWHERE,
        warnings=(
            *((lack.said,) if lack.said else ()),
            *odd_runs.set_apart(runs, evidence.odd_rows(features, rows, spread)),
        ),
        runs=runs,
    )


def _provenance(
    runs: Runs, found: Fitted, choice: Choice, task: Task, device: Device
) -> Provenance:
    return Provenance(
        sources=tuple(asdict(source) for source in runs.sources),
        versions=versions(),
        created=date.today().isoformat(),
        seed=task.seed,
        bootstrap=task.bootstrap,
        device=device.platform,
        backend=found.backend,
        runs=len(runs),
        diverged=int(runs.diverged.sum()),
        dropped=len(runs.dropped),
        fit=found.quality,
        selection=choice.record,
    )


def _fitted_parts(
    choice: Choice, task: Task, backends: Mapping[str, Backend]
) -> tuple[Choice, dict[str, Fitted]]:
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
            done[name] = replicates.fit_all(
                *(choice.parts[name], task, backends[name]),
                completes=set(own) <= {*done, name},
            )
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


def _idle(backend: str, ran: str) -> list[str]:
    """That the kernels asked for had nothing to do: they refit resampled cells."""
    if backend in ("auto", ran):
        return []
    return [
        f"Nothing ran on the backend {backend}: no draw was refitted, for which it "
        f"takes {intervals.MIN_CELLS_PAIRS} cells and a bootstrap above 0."
    ]


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
