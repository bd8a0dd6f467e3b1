"""The public verb `fit`: choose a family, fit it, resample it."""

from __future__ import annotations

import platform
from dataclasses import asdict
from datetime import date
from importlib import metadata

import jax
import numpy as np
from jaxtyping import Float64

from surrogate import engine, estimate, families, selection, uncertainty
from surrogate.blocks import Device
from surrogate.engine import Progress
from surrogate.errors import DataError
from surrogate.estimate import Estimate
from surrogate.families import Family, Shape
from surrogate.features import Features, Rows
from surrogate.objective import measure_noise
from surrogate.query import CellRecord, Fit, Provenance
from surrogate.runs import Runs
from surrogate.selection import HeldOut
from surrogate.stability import Stability
from surrogate.uncertainty import Draws

DEFAULT_TERMS = 3
# What a report of a wrong answer needs to say.
_PACKAGES = ("loss-surrogate", "jax", "jaxlib", "numpy", "orbax-checkpoint")


def fit(
    runs: Runs,
    *,
    family: str = "auto",
    terms: int = DEFAULT_TERMS,
    bootstrap: int = 1000,
    seed: int = 0,
    device: str = "auto",
    backend: str = "auto",
    progress: Progress | None = None,
) -> Fit:
    """Fit a surface of final loss to finished runs.

    Args:
        runs: at least one cell in which lr or batch takes 3 values.
        family: `quadratic`, `posynomial`, `bowl`, or `auto`, the best one on cells left
            out.
        terms: K of the posynomial.
        bootstrap: draws of resampled cells; 0 for none. Under 5 cells there are none.
        seed: of starts and resampling.
        device: `auto`, `cpu` or `gpu`.
        backend: of the kernels: `auto`, `xla` or `mosaic`.
        progress: told what runs and how far it is.

    Returns:
        The fit; `is_converged` says whether it settled.

    Raises:
        DataError: the runs identify neither lr nor batch, or an argument is wrong.
    """
    _check(family, terms, bootstrap, seed)
    estimate.make_room()
    place = engine.pick_device(device)
    # Refused before the work; for the family's own shapes when that is known.
    engine.pick_backend(backend, place)
    with jax.default_device(place):
        return _fit(runs, family, terms, bootstrap, seed, (place, backend), progress)


def _check(family: str, terms: int, bootstrap: int, seed: int) -> None:
    if family not in ("auto", *families.NAMES):
        raise DataError(
            f"Expected a family among auto, {', '.join(families.NAMES)}, got "
            f"{family!r}."
        )
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
) -> Fit:
    device, backend = place
    features = Features.of(runs)
    rows = features.rows(runs)
    box = features.box()
    shape = Shape(len(features.choices), len(features.givens), features.offsets)
    names = families.NAMES if family == "auto" else (family,)
    members = {name: families.make(name, shape, terms) for name in names}
    held, warnings = _held_out(members, features, rows, runs, box, seed, progress)
    # With nothing held out to choose by, the first family is the simplest.
    chosen, choice = selection.choose(held) if held else (names[0], None)
    member = members[chosen]
    ones = np.ones((1, len(rows.target)))
    full = estimate.estimate(member, rows, ones, box, seed=seed)
    theta = full.solution.theta[0]
    cells = len(np.unique(rows.cell))
    draws = np.zeros((0, member.size))
    quality = _quality(full, len(rows.target))
    used = engine.pick_backend(backend, device, member)
    if bootstrap and cells >= uncertainty.MIN_CELLS:
        _start(progress, "Resampling cells", bootstrap)
        drawn = uncertainty.draw(
            member,
            rows,
            full.weights[0],
            theta,
            replicas=bootstrap,
            seed=seed,
            backend=used,
            progress=progress,
        )
        draws = drawn.theta
        quality |= {
            "draws_unsettled": drawn.unsettled,
            "draws_singular": drawn.singular,
            "draws_block": drawn.block,
            "draws_interrupted": not drawn.is_whole,
        }
        warnings += _shortfalls(drawn, bootstrap)
    _stop(progress)
    residual = rows.target - full.surface.fitted[0]
    return Fit(
        family=member,
        features=features,
        theta=theta,
        draws=draws,
        noise=measure_noise(residual, full.surface.excess[0], rows.cell),
        stability=Stability.of(runs),
        cells=_records(runs),
        scores=dict(held[chosen].summary()) if held else {},
        is_converged=bool(quality["is_settled"]),
        loss_kind=runs.loss_kind,
        params_kind=runs.params_kind,
        provenance=Provenance(
            sources=tuple(asdict(source) for source in runs.sources),
            versions=versions(),
            created=date.today().isoformat(),
            seed=seed,
            bootstrap=bootstrap,
            device=device.platform,
            backend=used,
            runs=len(runs),
            diverged=int(runs.diverged.sum()),
            dropped=len(runs.dropped),
            fit=quality,
            selection=choice,
        ),
        warnings=tuple(dict.fromkeys([*runs.warnings, *features.notes(), *warnings])),
        runs=runs,
    )


def _held_out(
    members: dict[str, Family],
    features: Features,
    rows: Rows,
    runs: Runs,
    box: Float64[np.ndarray, "2 choices"],
    seed: int,
    progress: Progress | None,
) -> tuple[dict[str, HeldOut], list[str]]:
    cells = len(np.unique(rows.cell))
    if cells < selection.MIN_CELLS:
        return {}, [
            f"There are fewer than {selection.MIN_CELLS} cells ({cells}): none could "
            "be left out, so the fit has no held-out scores."
        ]
    folds = selection.both(runs, rows, features)
    warnings = []
    if len(members) > 1 and selection.LARGEST not in folds.protocol:
        warnings = [
            f"There are too few cells ({cells}) to leave the largest out: families "
            "were compared by leaving out each cell alone, which says little of larger "
            "runs."
        ]
    held = {}
    for name, member in members.items():
        _start(progress, f"Leaving out cells, {name}", len(folds.held))
        found = selection.leave_out(
            member, features, rows, runs, box, folds, seed=seed, progress=progress
        )
        if found.is_whole():
            held[name] = found
        else:
            warnings.append(f"{name} failed on some cells left out and is not chosen.")
    return held, warnings


def _shortfalls(drawn: Draws, asked: int) -> list[str]:
    """What a user should hear of draws that went otherwise than asked."""
    found = []
    if not drawn.is_whole:
        found.append(
            f"Interrupted: {len(drawn.theta)} of {asked} draws were finished and are "
            "kept; intervals from fewer draws are rougher."
        )
    if drawn.is_halved:
        found.append(
            "The device had no memory for a block of draws: it was halved to "
            f"{drawn.block} a call."
        )
    return found


def _quality(full: Estimate, rows: int) -> dict[str, float | int | bool]:
    """How well the fit was reached."""
    solution = full.solution
    return {
        "is_settled": bool(estimate.is_settled(solution, rows)[0]),
        "relative_gradient": float(solution.decrement[0]),
        "steps": int(solution.iterations[0]),
        "second_best_start": float(full.second_start[0]),
    }


def _records(runs: Runs) -> tuple[CellRecord, ...]:
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


def _start(progress: Progress | None, task: str, total: int) -> None:
    if progress is not None:
        progress.start(task, total)


def _stop(progress: Progress | None) -> None:
    if progress is not None:
        progress.stop()
