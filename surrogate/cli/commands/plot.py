"""The command that draws figures: plot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from surrogate.base import interrupts
from surrogate.base.errors import DataError
from surrogate.cli import (
    documents,
    options,
    output,
    progress,
    reading,
    typing_numbers,
)
from surrogate.cli.text import common

if TYPE_CHECKING:
    from rich.console import RenderableType

AT_A_POINT = ("surface", "slices")
OF_A_FIT = (*AT_A_POINT, "scaling", "residuals")
OF_A_DOCUMENT = ("coverage", "throughput")
FIGURES = (*OF_A_FIT, *OF_A_DOCUMENT)


def plot(
    what: Annotated[str, typer.Argument(metavar="WHAT", help=", ".join(FIGURES) + ".")],
    source: Annotated[
        str,
        typer.Argument(
            metavar="FIT|JSON",
            help="A fit; for coverage and throughput what the benchmark printed.",
        ),
    ],
    *,
    out: Annotated[Path, typer.Option(metavar="FILE", help="PNG, SVG or PDF.")],
    params: options.OptionalParams = None,
    tokens: options.OptionalTokens = None,
    tol: options.Tol = options.TOL,
    lr: Annotated[
        str | None, typer.Option(metavar="LR", help="Your learning rate, shown.")
    ] = None,
    batch: Annotated[
        str | None,
        typer.Option(metavar="B", help="Your batch in tokens or 256x2048, shown."),
    ] = None,
    recipe: options.RecipeName = None,
    scale: options.ScaleValues = [],  # noqa: B006
    runs: Annotated[
        list[Path],
        typer.Option("--runs", metavar="FILE", help="Measured runs, shown."),
    ] = [],  # noqa: B006
    column_map: Annotated[
        list[str],
        typer.Option(
            "--map",
            metavar="ROLE=COLUMN",
            help="How --runs is read, a scale of the fit being a role; repeatable.",
        ),
    ] = [],  # noqa: B006
    also: reading.Also = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> int:
    """A figure of a fit, or of what a benchmark printed."""
    options.choose("plot", what, FIGURES)
    asked: dict[str, Any] = {
        "params": options.optional_count("--params", params),
        "tokens": options.optional_count("--tokens", tokens),
        "lr": options.optional_lr(lr),
        "batch": options.optional_batch(batch),
        "recipe": recipe,
        "scales": options.scale_values(scale),
        "runs": list(runs) or None,
        "map": options.pairs("--map", column_map, "ROLE=COLUMN, such as active=Na"),
        "also": also,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    _check_options(what, given)
    reading.check_also(f"plot {what}", also, runs)
    if what in AT_A_POINT:
        given["tol"] = typing_numbers.share_of_loss("--tol", tol)

    interrupts.begin(f"drawing {what}")
    from surrogate.views import plots

    path = plots.check_out(out, overwrite=overwrite)
    drawn, document = _draw(what, source, given)
    plots.save(drawn, path, overwrite=overwrite)
    document = documents.with_common_keys(document)
    document |= {"schema": output.SCHEMA, "out": str(path), "plot": what}
    return output.emit(document, json, _text)


def _check_options(what: str, given: dict[str, Any]) -> None:
    """Refuse options that a figure does not take, and sizes that it lacks."""
    files = ("runs", "map", "also")
    takes: dict[str, tuple[str, ...]] = {
        "surface": ("params", "tokens", "lr", "batch", "recipe", "scales", *files),
        "slices": ("params", "tokens", "recipe", "scales", *files),
        "scaling": ("recipe", "scales", *files),
        "residuals": files,
    }
    known = takes.get(what, ())
    for name in given:
        if name not in known:
            raise DataError(
                f"plot {what}: {_option(name)} has no meaning here. Leave it out; it "
                f"takes {', '.join(map(_option, known)) or 'a document only'}."
            )
    if what in AT_A_POINT and not {"params", "tokens"} <= set(given):
        raise DataError(
            f"plot {what}: expected --params and --tokens, at which it is drawn. Write "
            "for example --params 1B --tokens 20B."
        )


def _option(name: str) -> str:
    return "--scale" if name == "scales" else f"--{name}"


def _draw(what: str, source: str, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The axes, and the document but for what all figures share."""
    from surrogate.views import plots

    if what in OF_A_DOCUMENT:
        draw = plots.plot_coverage if what == "coverage" else plots.plot_throughput
        return draw(plots.read(source, what)), {"status": "ok", "warnings": []}

    from surrogate.answers import load
    from surrogate.data.readers import read_runs

    fit = load(source)
    roles, also = given.pop("map", {}), given.pop("also", None)
    if "runs" in given:
        columns = {n: c for n, c in roles.items() if n in fit.scale_names}
        rest = {n: c for n, c in roles.items() if n not in columns}
        with progress.shown() as bar:
            given["runs"] = read_runs(
                given["runs"],
                map=rest or None,
                scales=columns or None,
                also=also,
                progress=bar,
            )
    pictures: dict[str, Any] = {
        "surface": plots.SurfacePicture,
        "slices": plots.SlicesPicture,
        "scaling": plots.ScalingPicture,
        "residuals": plots.ResidualsPicture,
    }
    with options.dashed(can_allow=False):
        picture = pictures[what].of(fit, **given)
    return picture.draw(), {
        "params": given.get("params"),
        "tokens": given.get("tokens"),
        "scales": given.get("scales"),
        "recipe": given.get("recipe"),
        "family": fit.family.name,
        "loss_kind": fit.loss_kind,
        "status": str(picture.status),
        "warnings": list(picture.warnings),
    }


def _text(document: dict[str, Any]) -> list[RenderableType]:
    """Where the figure is."""
    return [common.title(f"wrote {document['out']}")]
