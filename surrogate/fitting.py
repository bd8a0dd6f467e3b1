"""The public verb `fit`: choose a family, fit it, resample it."""

from __future__ import annotations

import platform
from dataclasses import asdict
from datetime import date
from importlib import metadata
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float64

from surrogate import engine, estimate, families, fitted, mixing, selection
from surrogate.blocks import Device
from surrogate.engine import Progress
from surrogate.errors import DataError
from surrogate.families import Family, Shape
from surrogate.features import Features, Rows
from surrogate.mixing import Mixture
from surrogate.objective import measure_noise
from surrogate.query import CellRecord, Fit, Provenance
from surrogate.runs import Runs
from surrogate.selection import HeldOut
from surrogate.stability import Stability

DEFAULT_TERMS = 3
# K of the posynomials of a mix.
MIX_TERMS = (3, 4, 5)
# Of resamples of the cells, in which a family must be the best to be called so.
_SURE = 0.8
# What is made of several families.
MIXED = ("auto", "mix")
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
        family: `quadratic`, `additive`, `posynomial`, `bowl`; `mix`, the mean of all,
            weighted on cells left out; or `auto`, the best of these on cells left out.
        terms: K of the posynomial; a mix has 3, 4 and 5.
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
    names = (*MIXED, *families.NAMES)
    if family not in names:
        raise DataError(f"Expected a family among {', '.join(names)}, got {family!r}.")
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
    features = Features.of(runs)
    rows = features.rows(runs)
    box = features.box()
    shape = Shape(len(features.choices), len(features.givens), features.offsets)
    members = _members(family, shape, terms)
    held, warnings = _held_out(members, features, rows, runs, box, seed, progress)
    choice = _choose(family, members, held, rows, runs, features)
    parts = [
        fitted.fit_all(
            member,
            rows,
            box,
            bootstrap=bootstrap,
            seed=seed,
            place=place,
            progress=progress,
        )
        for member in choice.parts
    ]
    found = fitted.join(choice.mixture, parts) if choice.mixture else parts[0]
    surface = estimate.evaluate(found.family, rows, found.theta[None], box)
    _stop(progress)
    residual = rows.target - surface.fitted[0]
    return Fit(
        family=found.family,
        features=features,
        theta=found.theta,
        draws=found.draws,
        leaves=found.leaves,
        noise=measure_noise(residual, surface.excess[0], rows.cell),
        stability=Stability.of(runs),
        cells=_records(runs),
        scores=choice.scores,
        is_converged=bool(found.quality["is_settled"]),
        loss_kind=runs.loss_kind,
        params_kind=runs.params_kind,
        provenance=Provenance(
            sources=tuple(asdict(source) for source in runs.sources),
            versions=versions(),
            created=date.today().isoformat(),
            seed=seed,
            bootstrap=bootstrap,
            device=place[0].platform,
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
                    *choice.warnings,
                    *found.warnings,
                ]
            )
        ),
        runs=runs,
    )


class _Choice(NamedTuple):
    """What is fitted to all runs, and why."""

    parts: tuple[Family, ...]
    mixture: Mixture | None
    scores: dict[str, Any]
    record: dict[str, Any] | None
    warnings: list[str]


def _choose(
    family: str,
    members: dict[str, Family],
    held: dict[str, HeldOut],
    rows: Rows,
    runs: Runs,
    features: Features,
) -> _Choice:
    """The family asked for, or the best on cells left out."""
    candidates, mixture, warnings = dict(held), None, []
    mixed = {name: h for name, h in held.items() if not h.unsettled}
    if family in MIXED and mixed:
        mixture = mixing.mix(mixed, features, rows, runs)
        if family == "mix" or len(mixture.weights) > 1:
            candidates["mix"] = mixture.held
    if family == "mix":
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
        return _Choice((next(iter(members.values())),), None, {}, None, [])
    chosen, record = selection.choose(
        candidates,
        "mix" if family == "mix" else None,
        mixture.weights if mixture else None,
    )
    scores = dict(candidates[chosen].summary())
    share = record["shares"][chosen]
    if family == "auto" and share < _SURE:
        rivals = {n: s for n, s in record["shares"].items() if n != chosen and s > 0}
        named = ", ".join(f"{name} {s:.0%}" for name, s in rivals.items())
        warnings.append(
            f"The choice of {chosen} is not settled: had other cells of this kind been "
            f"run, it would have been taken {share:.0%} of the time ({named}). "
            "Intervals hold for the family chosen."
        )
    if chosen == "mix":
        assert mixture is not None
        return _Choice(mixture.family.members, mixture, scores, record, warnings)
    return _Choice((members[chosen],), None, scores, record, warnings)


def _members(family: str, shape: Shape, terms: int) -> dict[str, Family]:
    """What is fitted, by name."""
    if family == "mix":
        found = {name: families.make(name, shape, terms) for name in families.NAMES}
        del found["posynomial"]
        more = {
            f"posynomial-{k}": families.make("posynomial", shape, k) for k in MIX_TERMS
        }
        return found | more
    names = families.NAMES if family == "auto" else (family,)
    return {name: families.make(name, shape, terms) for name in names}


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
        fitted.start(progress, f"Leaving out cells, {name}", len(folds.held))
        found = selection.leave_out(
            member, features, rows, runs, box, folds, seed=seed, progress=progress
        )
        if found.is_whole():
            held[name] = found
        else:
            warnings.append(f"{name} failed on some cells left out and is not chosen.")
    return held, warnings


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


def _stop(progress: Progress | None) -> None:
    if progress is not None:
        progress.stop()
