"""Commands that take runs or points: demo, check, fit, predict, evaluate.

Rooms that need JAX are imported inside the commands: `surrogate --help` stays fast.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from surrogate.base import defaults, interrupts, units
from surrogate.base.about import check_about, parse_about
from surrogate.cli import (
    compiled,
    documents,
    options,
    output,
    progress,
    reading,
    scale_out,
    typing_numbers,
)
from surrogate.cli.progress import Bar

if TYPE_CHECKING:
    from surrogate.answers import Fit
    from surrogate.data import Runs

# A fit that is expected to take so long is announced [s].
_LONG = 10.0
_DEMO_OUT = Path("surrogate-demo")
_DEMO_REPLICAS = 200
_DEMO_PARAMS, _DEMO_TOKENS = 1e9, 5e10

Out = Annotated[
    Path, typer.Option("--out", metavar="FIT", help="The folder to write the fit to.")
]


def demo(
    *,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to write; default: surrogate-demo."),
    ] = None,
    seed: options.Seed = defaults.SEED,
    overwrite: options.Overwrite = False,
    device: options.Device = "auto",
    backend: options.Backend = "auto",
    json: options.Json = False,
) -> int:
    """Simulate a sweep, fit it, and print its optimum and plateau."""
    from surrogate.answers.simulate import simulate
    from surrogate.cli.text import tables
    from surrogate.storage import archive
    from surrogate.views.explorer import page

    folder = (_DEMO_OUT if out is None else out) / "fit"
    # Its own default folder may hold the demo of last time; --out is the user's.
    replace = overwrite or out is None
    if out is not None and not overwrite:
        archive.check_out(out, overwrite=False)
    picture = folder.with_name("report.html")
    archive.check_out(folder, overwrite=replace)
    page.check_out(picture, overwrite=replace)
    start = time.monotonic()
    fitted = _fit(
        simulate(seed=seed),
        family="posynomial",
        bootstrap=_DEMO_REPLICAS,
        seed=seed,
        device=options.choose("--device", device, defaults.DEVICES),
        backend=options.choose("--backend", backend, options.BACKENDS),
    )
    interrupts.begin("saving the fit")
    with interrupts.writing():
        fitted.save(folder, overwrite=replace)
        page.write(fitted, picture, name=str(folder), overwrite=replace)
        interrupts.keep(True)
    surface = fitted.at(params=_DEMO_PARAMS, tokens=_DEMO_TOKENS)
    best, flat = surface.optimum(), surface.plateau()
    asked = {"optimum": best.to_json(), "plateau": flat.to_json()}
    document = {
        "schema": output.SCHEMA,
        "fit": _summary(fitted, folder, time.monotonic() - start),
        **asked,
        "files": [str(folder), str(picture)],
        "status": best.status if best.status.is_failed else flat.status,
        "warnings": documents.merged_warnings(asked.values()),
    }
    return output.emit(document, json, tables.demo)


def check(
    runs: options.RunsArgument,
    *,
    typed: reading.Typed,
    max_dropped: options.MaxDropped = options.MAX_DROPPED,
    fix: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Write what was read, to read without flags."),
    ] = None,
    overwrite: options.Overwrite = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Every cell, and every note whole.")
    ] = False,
    json: options.Json = False,
) -> int:
    """Read runs; say what was understood, kept and dropped."""
    from surrogate.cli.text import tables
    from surrogate.data.readers import cleaned

    if fix is not None:
        cleaned.check_out(fix, overwrite=overwrite)
    limit = options.share("--max-dropped", max_dropped)
    how = reading.parsed(typed)
    table = progress.read(runs, how)
    following = reading.fit_command(runs, how)
    others = reading.evaluate_command(runs, how)
    if fix is not None:
        with interrupts.writing():
            notes = cleaned.write_cleaned(table, fix)
        table = replace(table, notes=(*table.notes, f"written to {fix}", *notes))
        scales = {name: name for name in table.scales}
        following = reading.fit_command([fix], {"scales": scales})
        others = reading.evaluate_command([fix], {})
    document = documents.check(table, following, others)
    render = partial(tables.check, everything=everything)
    code = output.emit(document, json, render)
    return max(code, _judge_dropped(table, limit))


def fit(
    runs: options.RunsArgument,
    *,
    out: Out,
    family: Annotated[
        str, typer.Option(metavar="|".join(defaults.FAMILIES), help="Which surface.")
    ] = defaults.AUTO,
    terms: Annotated[
        int, typer.Option(min=1, metavar="K", help="Further terms of `posynomial`.")
    ] = defaults.TERMS,
    bootstrap: Annotated[
        int, typer.Option(min=0, metavar="R", help="Resampled fits, for intervals.")
    ] = defaults.BOOTSTRAP,
    seed: options.Seed = defaults.SEED,
    overwrite: options.Overwrite = False,
    typed: reading.Typed,
    about: options.About = [],  # noqa: B006
    max_dropped: options.MaxDropped = options.MAX_DROPPED,
    device: options.Device = "auto",
    backend: options.Backend = "auto",
    resume: scale_out.Resume = False,
    hosts: scale_out.Hosts = False,
    json: options.Json = False,
) -> int:
    """Fit a surface to runs, resample, and save it."""
    start = time.monotonic()
    limit = options.share("--max-dropped", max_dropped)
    how = reading.parsed(typed)
    settings: dict[str, Any] = {
        "family": options.choose("--family", family, defaults.FAMILIES),
        "terms": terms,
        "bootstrap": bootstrap,
        "seed": seed,
        "device": options.choose("--device", device, defaults.DEVICES),
        "backend": options.choose("--backend", backend, options.BACKENDS),
    }
    said = parse_about(about)
    table = progress.read(runs, how)
    kinds = {"params_kind": table.params_kind, "loss_kind": table.loss_kind}
    settings["about"] = check_about(said, kinds, how["seq_len"])
    if how["seq_len"] is not None:
        settings["about"].setdefault("seq_len", str(how["seq_len"]))

    # Reading fails fast; JAX is imported only for runs that can be fitted.
    from surrogate.cli.text import tables

    shards = scale_out.prepare(out, overwrite=overwrite, resume=resume, hosts=hosts)
    fitted = _fit(table, shards=shards, **settings)
    if shards.process > 0:
        return scale_out.tell_share(shards, out, json)
    interrupts.begin("saving the fit")
    with interrupts.writing():
        may = scale_out.may_replace(out, overwrite=overwrite, resume=resume)
        fitted.save(out, overwrite=may)
        interrupts.keep(True)
    is_cut = bool(fitted.provenance.fit.get("draws_interrupted", False))
    scale_out.finish(shards, is_whole=not is_cut)
    document = _summary(fitted, out, time.monotonic() - start)
    document |= documents.tells(table, reading.evaluate_command(runs, how))
    document["next"] = _first_question(fitted, out, is_swept=bool(table.also))
    return max(
        output.emit(document, json, tables.fit),
        _judge_dropped(table, limit),
        # Ctrl-C during the draws: a fit all the same, with those that were finished.
        int(is_cut),
    )


def predict(
    fit: options.FitArgument,
    points: Annotated[
        Path,
        typer.Argument(
            metavar="POINTS",
            help="A CSV file with columns lr, batch (tokens), params, tokens "
            "[, recipe] [, further scales].",
        ),
    ],
    *,
    out: Annotated[
        Path, typer.Option("--out", metavar="CSV", help="The file to write.")
    ],
    recipe: options.RecipeName = None,
    scale: options.ScaleValues = [],  # noqa: B006
    seed_noise: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE", help="Spread of the loss between seeds, if known."
        ),
    ] = None,
    allow: options.Allow = [],  # noqa: B006
    overwrite: options.Overwrite = False,
    max_dropped: options.MaxDropped = options.MAX_DROPPED,
    json: options.Json = False,
) -> int:
    """Predict the loss at many points and write it beside them."""
    from surrogate.cli.commands.predict import ForAll, predict_points
    from surrogate.cli.text import tables

    limit = options.share("--max-dropped", max_dropped)
    scales, noise = options.scale_values(scale), None
    if seed_noise is not None:
        noise = typing_numbers.share_of_loss("--seed-noise", seed_noise)
    every = ForAll(recipe, scales, noise, options.allowed(allow))
    document = predict_points(fit, points, out, every, overwrite=overwrite)
    code = output.emit(document, json, tables.predict)
    refused = document["points"] - document["answered"]
    return max(code, int(refused > limit * document["points"]))


def evaluate(
    fit: options.FitArgument,
    runs: options.RunsArgument,
    *,
    typed: reading.Typed,
    max_dropped: options.MaxDropped = options.MAX_DROPPED,
    json: options.Json = False,
) -> int:
    """Score a fit on runs that it has not seen."""
    limit = options.share("--max-dropped", max_dropped)
    how = reading.parsed(typed)
    table = progress.read(runs, how)

    from surrogate.answers import load
    from surrogate.cli.text import tables

    interrupts.begin("evaluate")
    answer = load(fit).evaluate(table)
    document = documents.with_common_keys(answer.to_json())
    code = output.emit(document, json, tables.evaluate)
    return max(code, _judge_dropped(table, limit))


def _fit(runs: Runs, **settings: Any) -> Fit:
    """Fit with a progress bar."""
    compiled.keep(progress.warn)
    interrupts.begin("starting JAX")
    from surrogate.answers import from_runs

    _say_how_long(runs, settings)
    interrupts.begin("fit")
    bar = Bar()
    try:
        return from_runs.fit(runs, progress=bar, **settings)
    finally:
        bar.stop()


def _say_how_long(runs: Runs, settings: Mapping[str, Any]) -> None:
    """An estimate on stderr, before a fit that takes longer than one waits idly."""
    from surrogate.base.errors import DataError
    from surrogate.fitting.fit import seconds

    try:
        took = seconds(runs, **settings)
    except DataError:
        # The fit itself says what is wrong.
        return
    if took is not None and took >= _LONG:
        output.note("fit", f"this takes {in_words(took)}, longer on a busy machine.")


def in_words(seconds: float) -> str:
    """A time to one digit or two: about 20 s, about 3 min."""
    if seconds < 90:
        return f"about {round(seconds, -1):.0f} s"
    return f"about {seconds / 60:.0f} min"


def _summary(fitted: Fit, folder: Path, seconds: float) -> dict[str, Any]:
    """The fit document: what the fit says of itself, where it is, how long it took."""
    return {
        "schema": output.SCHEMA,
        "out": str(folder),
        **fitted.summary_json(),
        "seconds": seconds,
    }


def _first_question(fitted: Fit, out: Path, *, is_swept: bool) -> str | None:
    """The plateau at the largest of the fitted runs, to be changed to one's own."""
    if not fitted.cells:
        return None
    largest = max(fitted.cells, key=lambda cell: cell.params * cell.tokens)
    words = ["surrogate", "plateau", str(out)]
    for name, value in (("params", largest.params), ("tokens", largest.tokens)):
        words += [f"--{name}", units.format_count(value)]
    for name, value in largest.scales.items():
        words += ["--scale", f"{name}={units.format_count(value)}"]
    # Of a further setting the best level is taken where none is named.
    if len(fitted.features.recipes) > 1 and not is_swept:
        words += ["--recipe", largest.recipe]
    return shlex.join(words)


def _judge_dropped(runs: Runs, limit: float) -> int:
    """Exit code 1 and a line on stderr where too many rows were dropped, else 0."""
    reason = documents.dropped_too_many(runs, limit)
    if reason is None:
        return 0
    output.note("warning", reason)
    return 1
