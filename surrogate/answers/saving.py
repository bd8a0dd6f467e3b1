"""Model <-> folder: what goes into the manifest, what into the arrays."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from surrogate import families
from surrogate.answers import schema
from surrogate.answers.agreeing import units_of
from surrogate.answers.expected import Unlike
from surrogate.base.about import known_about
from surrogate.base.defaults import SMALL
from surrogate.base.errors import DataError
from surrogate.base.units import quote
from surrogate.data import Dropped, Runs, Source
from surrogate.data.coordinates import Features
from surrogate.families import MIX, Family, Mix, Shape
from surrogate.fitting.discrepancy import Discrepancy
from surrogate.fitting.evidence import Direction
from surrogate.fitting.model import CellRecord, Model, Provenance
from surrogate.fitting.objective import Noise
from surrogate.fitting.stability import Stability
from surrogate.storage import archive

M = TypeVar("M", bound=Model)
# What no parameter of a family and no loss reaches.
MOST_PARAMETER = 1e9
# Of the runs, kept as arrays; text is kept as the bytes of a JSON list.
_NUMBERS = ("lr", "batch", "params", "tokens", "loss", "verdict")
_TEXTS = ("recipe", "name")
# Of few tables: kept where any run has one.
_RARE_NUMBER, _RARE_TEXT = "loss_se", "cluster"
_RUN = "run_"
_SCALE = "run_scale_"


def save(fit: Model, path: str | Path, *, overwrite: bool = False) -> None:
    """Write a fit to a folder.

    Raises:
        DataError: the folder must not be written.
    """
    arrays = {"theta": fit.theta, "draws": fit.draws, "leaves": fit.leaves}
    manifest = {**_manifest(fit), "runs": None}
    if fit.runs is not None:
        more, manifest["runs"] = _pack(fit.runs)
        arrays |= more
    archive.write(path, archive.as_json(manifest), arrays, overwrite=overwrite)


def read(name: str | Path, make: type[M]) -> M:
    """What was saved, as `make`; errors are those of `load`."""
    folder, warning = archive.locate(name)
    manifest, arrays = archive.read(folder)
    try:
        schema.check(manifest)
        fit = _unpack(manifest, arrays, make)
    except Unlike as error:
        raise DataError(
            f"The manifest in {archive.shown(folder)} does not describe a fit: "
            f"{error}. Fit again, or copy the folder anew."
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"The manifest in {archive.shown(folder)} does not describe a fit "
            f"({type(error).__name__}: {error}). Fit again, or copy the folder anew."
        ) from error
    _check(fit, folder)
    return replace(fit, warnings=(warning, *fit.warnings)) if warning else fit


def _manifest(fit: Model) -> dict[str, Any]:
    """All but the arrays, as plain numbers, strings and lists."""
    return {
        "family": fit.family.name,
        "k": fit.family.terms,
        "members": _members_json(fit.family),
        "units": units_of(fit.loss_unit, fit.params_kind),
        "loss_kind": fit.loss_kind,
        "loss_unit": fit.loss_unit,
        "params_kind": fit.params_kind,
        "about": fit.about,
        "standardisation": fit.features.to_json(),
        "noise": fit.noise._asdict(),
        "stability": fit.stability.to_json() if fit.stability else None,
        "cells": [asdict(cell) for cell in fit.cells],
        "freedom": fit.freedom,
        "clusters": fit.clusters,
        "evidence": {name: found.to_json() for name, found in fit.evidence.items()},
        "discrepancy": fit.discrepancy and fit.discrepancy.to_json(),
        "scores": fit.scores,
        "is_converged": fit.is_converged,
        "provenance": asdict(fit.provenance),
        "warnings": list(fit.warnings),
    }


def _members_json(family: Family) -> list[dict[str, Any]] | None:
    """What a mix is made of, or an unsettled choice chose from."""
    if not isinstance(family, Mix):
        return None
    return [{"family": m.name, "k": m.terms} for m in family.members]


def _family(manifest: Mapping[str, Any], shape: Shape) -> Family:
    name = manifest["family"]
    if manifest.get("members"):
        members = tuple(_family(member, shape) for member in manifest["members"])
        if name != MIX and name not in {member.name for member in members}:
            raise ValueError(f"no member is called {quote(str(name))}")
        return Mix(shape, members, None if name == MIX else name)
    if name not in families.NAMES:
        raise ValueError(f"unknown family {quote(str(name))}")
    return families.make(name, shape, manifest["k"])


def _unpack(manifest: Mapping[str, Any], arrays: archive.Arrays, make: type[M]) -> M:
    features = Features.from_json(manifest["standardisation"])
    shape = Shape(len(features.choices), len(features.givens), features.offsets)
    family = _family(manifest, shape)
    stability, wrong = manifest["stability"], manifest.get("discrepancy")
    none = np.zeros((0, family.size))
    return make(
        family=family,
        features=features,
        theta=arrays["theta"],
        draws=arrays.get("draws", none),
        leaves=arrays.get("leaves", none),
        noise=Noise(**manifest["noise"]),
        stability=Stability.from_json(stability) if stability else None,
        cells=tuple(
            CellRecord(
                **{
                    **cell,
                    "lr": tuple(cell["lr"]),
                    "batch": tuple(cell["batch"]),
                    "around": {
                        name: tuple(ends)
                        for name, ends in cell.get("around", {}).items()
                    },
                    "unstable": tuple(map(tuple, cell.get("unstable", ()))),
                }
            )
            for cell in manifest["cells"]
        ),
        freedom=manifest.get("freedom"),
        clusters=manifest.get("clusters", 0),
        evidence={
            name: Direction.from_json(found)
            for name, found in manifest.get("evidence", {}).items()
        },
        scores=manifest["scores"],
        is_converged=manifest["is_converged"],
        loss_kind=manifest["loss_kind"],
        loss_unit=manifest.get("loss_unit", "nats"),
        params_kind=manifest["params_kind"],
        provenance=Provenance(
            **{
                **manifest["provenance"],
                "sources": tuple(manifest["provenance"]["sources"]),
            }
        ),
        warnings=tuple(manifest["warnings"]),
        runs=_unpack_runs(manifest["runs"], arrays) if manifest["runs"] else None,
        about=_about(manifest),
        discrepancy=Discrepancy.from_json(wrong) if wrong else None,
    )


def _about(manifest: Mapping[str, Any]) -> dict[str, str]:
    """What was told of the recipe, over what is known of a released dump."""
    known = known_about(manifest["provenance"]["sources"])
    return known | {str(k): str(v) for k, v in manifest.get("about", {}).items()}


def _check(fit: Model, folder: Path) -> None:
    """Refuse arrays that do not belong to the manifest."""
    size = fit.family.size
    arrays = {"theta": fit.theta[None], "draws": fit.draws, "leaves": fit.leaves}
    for name, array in arrays.items():
        if array.shape[1:] != (size,):
            raise DataError(
                f"The fit in {archive.shown(folder)} cannot be trusted: expected "
                f"{size} parameters, got {name} of shape {array.shape}. Fit again, "
                "or copy the folder anew."
            )
        is_whole = array.dtype == np.float64 and np.isfinite(array).all()
        if not is_whole or np.abs(array).max(initial=0) > MOST_PARAMETER:
            raise DataError(
                f"The fit in {archive.shown(folder)} cannot be trusted: expected "
                f"finite float64 in {name}, at most {MOST_PARAMETER:g}. Fit again, or "
                "copy the folder anew."
            )
    for said in _disagreements(fit):
        raise DataError(
            f"The fit in {archive.shown(folder)} cannot be trusted: {said}. Fit again, "
            "or copy the folder anew."
        )


def _disagreements(fit: Model) -> Iterator[str]:
    """How many refits, draws and runs there are, against what the manifest tells."""
    refits, draws = len(fit.leaves), len(fit.draws)
    if fit.freedom is None and refits not in (0, fit.fitted_cells):
        yield f"expected {fit.fitted_cells} refits, one a cell, got {refits}"
    if draws > fit.provenance.bootstrap:
        yield f"expected at most {fit.provenance.bootstrap} draws, got {draws}"
    if fit.runs is not None:
        losses = fit.runs.loss[fit.runs.usable]
        if not np.isfinite(losses).all() or losses.max(initial=0) > MOST_PARAMETER:
            yield "expected a loss of every run that did not diverge"


def _pack(runs: Runs) -> tuple[archive.Arrays, dict[str, Any]]:
    arrays = {_RUN + name: getattr(runs, name) for name in _NUMBERS}
    arrays |= {_SCALE + name: values for name, values in runs.scales.items()}
    texts = (*_TEXTS, _RARE_TEXT) if (runs.cluster != "").any() else _TEXTS
    for name in texts:
        text = json.dumps(getattr(runs, name).tolist()).encode()
        arrays[_RUN + name] = np.frombuffer(text, np.uint8)
    if np.isfinite(runs.loss_se).any():
        arrays[_RUN + _RARE_NUMBER] = runs.loss_se
    return arrays, {
        "loss_kind": runs.loss_kind,
        "loss_unit": runs.loss_unit,
        "params_kind": runs.params_kind,
        "scales": sorted(runs.scales),
        "also": runs.also,
        "seed_noise": runs.seed_noise,
        "dropped": [asdict(row) for row in runs.dropped],
        "notes": list(runs.notes),
        "sources": [asdict(source) for source in runs.sources],
    }


def _unpack_runs(about: Mapping[str, Any], arrays: archive.Arrays) -> Runs:
    numbers: dict[str, Any] = {
        name: arrays[_RUN + name] for name in _NUMBERS if name != "verdict"
    }
    # Fits of before there were verdicts know what diverged, and set nothing aside.
    verdict = arrays.get(_RUN + "verdict", arrays.get(_RUN + "diverged"))
    texts: dict[str, Any] = {
        name: np.array(json.loads(arrays[_RUN + name].tobytes()), dtype=str)
        for name in (*_TEXTS, _RARE_TEXT)
        if _RUN + name in arrays or name in _TEXTS
    }
    runs = Runs.from_arrays(
        **numbers,
        **texts,
        verdict=verdict,
        loss_se=arrays.get(_RUN + _RARE_NUMBER),
        scales={name: arrays[_SCALE + name] for name in about["scales"]},
        loss_kind=about["loss_kind"],
        loss_unit=about.get("loss_unit", "nats"),
        allow=(SMALL,),
        params_kind=about["params_kind"],
        dropped=[Dropped(**row) for row in about["dropped"]],
        notes=about["notes"],
        sources=[Source(**source) for source in about["sources"]],
    )
    return replace(
        runs, also=str(about.get("also", "")), seed_noise=about.get("seed_noise")
    )
