"""The command `validate`: what a fit of the other runs says of those left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from surrogate.base import defaults
from surrogate.cli import options, output, progress, reading
from surrogate.cli.progress import Bar
from surrogate.cli.text import common

if TYPE_CHECKING:
    from rich.console import RenderableType


def validate(
    runs: options.RunsArgument,
    *,
    folds: Annotated[
        str,
        typer.Option(
            metavar="|".join(defaults.FOLDS),
            help="What is left out: ends of the table, each cell, each recipe.",
        ),
    ] = defaults.FOLDS[0],
    family: Annotated[
        str, typer.Option(metavar="|".join(defaults.FAMILIES), help="Which surface.")
    ] = defaults.AUTO,
    terms: Annotated[
        int, typer.Option(min=1, metavar="K", help="Further terms of `posynomial`.")
    ] = defaults.TERMS,
    bootstrap: Annotated[
        int, typer.Option(min=0, metavar="R", help="Resampled fits of every fold.")
    ] = defaults.VALIDATION_DRAWS,
    seed: options.Seed = defaults.SEED,
    typed: reading.Typed,
    device: options.Device = "auto",
    backend: options.Backend = "auto",
    json: options.Json = False,
) -> int:
    """Fit without some cells and score what the fit says of them."""
    how = reading.parsed(typed)
    settings: dict[str, Any] = {
        "folds": options.choose("--folds", folds, defaults.FOLDS),
        "family": options.choose("--family", family, defaults.FAMILIES),
        "terms": terms,
        "bootstrap": bootstrap,
        "seed": seed,
        "device": options.choose("--device", device, defaults.DEVICES),
        "backend": options.choose("--backend", backend, options.BACKENDS),
    }
    table = progress.read(runs, how)
    from surrogate.answers import validation

    bar = Bar()
    try:
        found = validation.validate(table, progress=bar, **settings)
    finally:
        bar.stop()
    document = {
        "schema": output.SCHEMA,
        "runs": len(table),
        "cells": len(table.cells),
        "loss_kind": table.loss_kind,
        "loss_unit": table.loss_unit,
        **found.to_json(),
        "warnings": [f"Not tried: {skip.name}: {skip.why}" for skip in found.skipped],
    }
    return output.emit(document, json, _show)


_NAMES = (
    "left out",
    "cells",
    "family",
    "error",
    "covered",
    "half-width",
    "regret",
    "smoothed",
    "bound",
    "kept",
)


def _show(document: common.Document) -> list[RenderableType]:
    rows = [
        [
            fold["name"],
            str(len(fold["cells"])),
            fold["family"],
            *_numbers(fold, fold["bounded"]),
        ]
        for fold in document["folds"]
    ]
    means = document["summary"]
    rows.append(["mean", "", "", *_numbers(means, means["bounded"])])
    trust = [
        [
            word,
            f"{row['cells']:.0f}",
            _percent(row["regret"]),
            f"{row['loss_cells']:.0f}",
            _percent(row["mae_ln"]),
        ]
        for word, row in document["trust"].items()
    ]
    names = ["trust", "settings", "median regret", "losses", "median error"]
    return [
        common.title(
            f"{document['cells']} cells; each row is a fit without some of them"
        ),
        common.columns(_NAMES, rows, left=["left out", "family"]),
        common.title(
            "error: of ln loss, runs within 10 % of the best; covered: runs within 5 % "
            "inside their 95 % intervals; regret: measured at the suggestion; "
            "smoothed: against a local cubic; bound: stated; kept: cells within it."
        ),
        common.columns(names, trust, left=["trust"]),
    ]


def _numbers(row: dict[str, Any], kept: float | None) -> list[str]:
    return [
        _percent(row["mae_ln"]),
        "-" if row["coverage"] is None else f"{100 * row['coverage']:.0f} %",
        _percent(row["half_width"]),
        _percent(row["regret"]),
        _percent(row["regret_smoothed"]),
        _percent(row["regret_bound"]),
        "-" if kept is None else f"{100 * kept:.0f} %",
    ]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2g} %"
