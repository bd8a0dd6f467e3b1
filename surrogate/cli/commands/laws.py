"""Commands about published laws: law, compare.

`law` needs no JAX, and rooms that do are imported inside `compare`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from surrogate.base import defaults, interrupts, units
from surrogate.base.errors import DataError
from surrogate.cli import (
    documents,
    options,
    output,
    progress,
    reading,
    typing_numbers,
)
from surrogate.cli.progress import Bar

if TYPE_CHECKING:
    from surrogate.laws import Law, Shape

LayersOption = Annotated[
    str | None, typer.Option(metavar="L", help="Layers, for the FLOPs of attention.")
]
WidthOption = Annotated[
    str | None, typer.Option(metavar="W", help="Width of the residual stream.")
]


def law(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A law, or `list` for all of them.")
    ],
    *,
    params: options.OptionalParams = None,
    tokens: options.OptionalTokens = None,
    active_params: Annotated[
        str | None,
        typer.Option(metavar="NA", help="Active ones, of a mixture of experts."),
    ] = None,
    layers: LayersOption = None,
    width: WidthOption = None,
    seq_len: options.SeqLen = None,
    compute: Annotated[
        str | None, typer.Option(metavar="C", help="Training FLOPs, if you know them.")
    ] = None,
    batch: options.Batch = None,
    loss: Annotated[
        str | None, typer.Option(metavar="L", help="Final loss, nats per token.")
    ] = None,
    json: options.Json = False,
) -> int:
    """A published law's learning rate and batch, or `list`."""
    from surrogate.cli.text import laws
    from surrogate.laws import LAWS, Point, evaluate, find

    if name == "list":
        document = {
            "schema": output.SCHEMA,
            "laws": [law_json(each) for each in LAWS],
            "status": "ok",
            "warnings": [],
        }
        return output.emit(document, json, laws.listing)
    asked = find(name)
    if params is None or tokens is None:
        raise DataError(
            f"law {name}: expected --params and --tokens, got "
            f"{'neither' if params is tokens else 'one of them'}. Write for example "
            "--params 1B --tokens 20B."
        )
    point = Point(
        params=units.parse_count(params, what="--params"),
        tokens=units.parse_count(tokens, what="--tokens"),
        active=options.optional_count("--active-params", active_params),
        loss=None if loss is None else units.parse_positive(loss, what="--loss"),
        shape=_shape(layers, width, seq_len),
        compute=None
        if compute is None
        else typing_numbers.flops(compute, what="--compute"),
        seq_len=None if seq_len is None else options.whole("--seq-len", seq_len),
    )
    if point.active is not None and point.active > point.params:
        raise DataError(
            f"law {name}: expected --active-params of at most --params, which counts "
            "all experts. Exchange them."
        )
    choice = evaluate(asked, point, batch=options.optional_batch(batch))
    document = {
        **documents.with_common_keys({"schema": output.SCHEMA}),
        **law_json(asked),
        "params": point.params,
        "tokens": point.tokens,
        "active_params": point.active,
        "compute": choice.compute,
        "lr": choice.lr,
        "batch": choice.batch,
        "extrapolation": {
            "inside": choice.inside,
            "distance": None,
        },
        "status": "ok",
        "warnings": list(choice.warnings),
    }
    return output.emit(document, json, laws.law)


def law_json(law: Law) -> dict[str, Any]:
    """A law's entry: formulas as text, everything else as it is kept."""
    return {
        "name": law.name,
        "title": law.title,
        "lr_formula": None if law.lr is None else str(law.lr),
        "batch_formula": None if law.batch is None else str(law.batch),
        "params_kind": law.params,
        "compute_kind": law.compute,
        "experts": law.experts,
        "counts": law.counts,
        "setting": law.setting,
        "ranges": dict(law.ranges),
        "limits": dict(law.limits),
        "source": [source._asdict() for source in law.source],
        "checked": law.checked,
        "misprints": list(law.misprints),
        "notes": list(law.notes),
        "unusable": law.unusable,
    }


def _shape(layers: str | None, width: str | None, seq_len: str | None) -> Shape | None:
    """Layers, width and sequence length: with both of the first two, all three."""
    from surrogate.laws import Shape

    if layers is None and width is None:
        return None
    if layers is None or width is None or seq_len is None:
        raise DataError(
            "A shape is --layers, --width and --seq-len: expected all three, got "
            "one or two. Give the others."
        )
    return Shape(
        options.whole("--layers", layers),
        options.whole("--width", width),
        options.whole("--seq-len", seq_len),
    )


def compare(
    target: Annotated[
        list[str],
        typer.Argument(
            metavar="RUNS...|FIT...", help="CSV files of runs, one fit, or several."
        ),
    ],
    *,
    params: Annotated[
        str | None, typer.Option(metavar="N", help="Ask at one point: parameters.")
    ] = None,
    tokens: Annotated[
        str | None, typer.Option(metavar="D", help="Ask at one point: tokens.")
    ] = None,
    at: Annotated[
        list[str],
        typer.Option("--at", metavar="NAME=VALUE", help="A scale's value there."),
    ] = [],  # noqa: B006
    runs: Annotated[
        list[Path],
        typer.Option("--runs", metavar="FILE", help="The runs of a bundled fit."),
    ] = [],  # noqa: B006
    family: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(defaults.SINGLE_FAMILIES),
            help="The surrogate of RUNS; default: scores stored with a fit of the "
            "same files, else bowl.",
        ),
    ] = None,
    layers: LayersOption = None,
    width: WidthOption = None,
    seq_len: options.SeqLen = None,
    column_map: reading.ColumnMap = [],  # noqa: B006
    recipe: reading.RecipeColumns = [],  # noqa: B006
    scale: reading.ScaleColumns = [],  # noqa: B006
    loss_kind: reading.LossKind = None,
    params_kind: reading.ParamsKind = None,
    diverged_above: reading.DivergedAbove = None,
    also: reading.Also = None,
    seed: options.Seed = defaults.SEED,
    max_dropped: options.MaxDropped = options.MAX_DROPPED,
    allow: options.Allow = [],  # noqa: B006
    json: options.Json = False,
) -> int:
    """Published laws, or several fits, side by side."""
    if "numpy" not in sys.modules:
        # Thousands of small solves, in which the threads of BLAS wait for one another,
        # ten times as long where cores are shared.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if family is not None:
        options.choose("--family", family, defaults.SINGLE_FAMILIES)
    limit = options.share("--max-dropped", max_dropped)
    if (params is None) != (tokens is None):
        raise DataError(
            "compare: expected --params and --tokens together, got one of them. Give "
            "both, or neither to score every cell."
        )
    several = _fits_of(target)
    fit_name = None if several else _fit_name(target)
    has_fit = bool(fit_name or several)
    how = reading.parsed(
        {
            "column_map": column_map,
            "seq_len": seq_len,
            "recipe": [] if has_fit else recipe,
            "scale": [] if has_fit else scale,
            "loss_kind": loss_kind,
            "params_kind": params_kind,
            "diverged_above": diverged_above,
            "also": also,
        }
    )
    point, shape = None, None
    if params is not None and tokens is not None:
        point = {
            "params": units.parse_count(params, what="--params"),
            "tokens": units.parse_count(tokens, what="--tokens"),
            "scales": options.scale_values([*at, *(scale if has_fit else [])]),
            "recipe": recipe[0] if has_fit and recipe else None,
            "allow": options.allowed(allow),
        }
        shape = _shape(layers, width, seq_len)
    elif at or layers or width:
        raise DataError(
            "compare: --at, --layers and --width are of one point. Add --params and "
            "--tokens."
        )

    if several:
        reading.check_also("compare", also, [])
        return _side_by_side(several, point, json)

    from surrogate.cli.commands.compare import at_point, fit_of, on_cells
    from surrogate.cli.text import laws

    files = runs if fit_name else [Path(name) for name in target]
    reading.check_also("compare", also, files)
    table = progress.read(files, how) if files else None
    interrupts.begin("compare")
    bar = Bar()
    try:
        if point is not None:
            fit = fit_of(fit_name, table, family, seed, bar)
            with options.dashed():
                document = at_point(fit.at(**point), shape, how["seq_len"])
        else:
            document = on_cells(fit_name, table, family, seed, how["seq_len"], bar)
    finally:
        bar.stop()
    render = laws.cells if point is None else laws.point
    code = output.emit(document, json, render)
    reason = None if table is None else documents.dropped_too_many(table, limit)
    if reason is not None:
        output.note("warning", reason)
    return max(code, int(reason is not None))


def _side_by_side(names: list[str], point: dict[str, Any] | None, as_json: bool) -> int:
    """Several fits at one point."""
    from surrogate.cli import fits_compared

    if point is None:
        raise DataError(
            "compare: fits are compared at one point. Add --params and --tokens."
        )
    with options.dashed():
        document = fits_compared.compare(names, point)
    return output.emit(document, as_json, fits_compared.render)


def _are_fits(target: list[str]) -> list[str]:
    """Those of the names that are fits."""
    from surrogate.storage import archive

    bundled = archive.bundled()
    return [
        name
        for name in target
        if Path(name).is_dir() or name in bundled or name.startswith("bundled:")
    ]


def _fits_of(target: list[str]) -> list[str]:
    """Several fits to be compared with one another; none where runs are named."""
    fits = _are_fits(target)
    return fits if len(fits) == len(target) > 1 else []


def _fit_name(target: list[str]) -> str | None:
    """The fit that is meant, or None where files of runs are."""
    fits = _are_fits(target)
    if not fits:
        return None
    if len(target) > 1:
        raise DataError(
            f"compare: expected files of runs or one fit, got {len(target)} names of "
            f"which {units.quote(fits[0])} is a fit. Name the runs with --runs."
        )
    return fits[0]
