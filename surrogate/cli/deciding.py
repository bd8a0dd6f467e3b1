"""Options of the decision that optimum, plateau and regret share, and their output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import typer

from surrogate.base.errors import DataError
from surrogate.cli import options, output, sizes, typing_numbers

if TYPE_CHECKING:
    from rich.console import RenderableType

    from surrogate.answers import Fit, Optimum, Plateau, Regret, Surface
    from surrogate.cli.text.page import Asked
    from surrogate.laws.public_models import Model

LrMax = Annotated[
    str | None, typer.Option("--lr-max", metavar="LR", help="Suggest no larger lr.")
]
BatchMax = Annotated[
    str | None,
    typer.Option("--batch-max", metavar="B", help="Suggest no larger batch."),
]
BatchMultiple = Annotated[
    str | None,
    typer.Option(metavar="M", help="Suggest a multiple of M tokens, or of 8x2048."),
]
Ladder = Annotated[
    bool, typer.Option("--ladder", help="The best lr and the cost of every batch.")
]
MapPlot = Annotated[
    bool, typer.Option("--map-plot", help="A map; from 120 columns on without asking.")
]
Gpu = Annotated[
    str | None, typer.Option(metavar="NAME", help="Cost in hours of this GPU: h100.")
]
Mfu = Annotated[
    str | None, typer.Option(metavar="SHARE", help="Of the GPU's peak; default 40%.")
]
All = Annotated[
    bool, typer.Option("--all", help="Everything known: extents, intervals, proofs.")
]

# Said in other words by the short text.
_SAID = ("Extrapolation: ",)


class Most(TypedDict):
    """The largest settings that may be suggested."""

    lr_max: float | None
    batch_max: float | None


class Bound(Most):
    """What binds a suggestion."""

    batch_multiple: float | None


def most(lr_max: str | None, batch_max: str | None) -> Most:
    """Parse the largest settings that may be suggested."""
    return {
        "lr_max": None
        if lr_max is None
        else typing_numbers.lr(lr_max, what="--lr-max"),
        "batch_max": options.optional_batch(batch_max, "--batch-max"),
    }


def limits(lr_max: str | None, batch_max: str | None, multiple: str | None) -> Bound:
    """Parse what binds a suggestion."""
    step = options.optional_batch(multiple, "--batch-multiple")
    return {**most(lr_max, batch_max), "batch_multiple": step}


def point(fit: Fit, size: sizes.Sizes, more: options.Where) -> options.Point:
    """The whole question, its size in the fit's own count."""
    found = sizes.known(size, fit.params_kind, fit.scale_names)
    return {"params": found["params"], "tokens": found["tokens"], **more}


def choice(
    lr: str | None, batch: str | None, named: Model | None
) -> tuple[float, float]:
    """Parse a choice; a public model's own where nothing is typed.

    Raises:
        DataError: one is missing.
    """
    my_lr = typing_numbers.lr(lr) if lr is not None else named and named.lr
    my_batch = (
        typing_numbers.batch(batch) if batch is not None else named and named.batch
    )
    for name, value in (("lr", my_lr), ("batch", my_batch)):
        if value is None:
            told = f"; the sources of {named.name} do not tell its own" if named else ""
            raise DataError(f"Missing option '--{name}'{told}. Give --{name}.")
    assert my_lr is not None
    assert my_batch is not None
    return my_lr, my_batch


def share_of_loss(surface: Surface, tol: float | typing_numbers.TokensShare) -> float:
    """A tolerance as a share of the loss; one in tokens is converted by the fit."""
    if isinstance(tol, typing_numbers.TokensShare):
        return surface.tolerance(tol.share)
    return tol


def machine(gpu: str | None, mfu: str | None) -> tuple[str, float] | None:
    """Parse `--gpu` and `--mfu`.

    Raises:
        DataError: a share without a GPU, or a GPU that is not known.
    """
    from surrogate.answers.decision import gpus

    if gpu is None:
        if mfu is not None:
            raise DataError("--mfu: expected with --gpu NAME, got it alone. Add --gpu.")
        return None
    share = gpus.MFU if mfu is None else options.share("--mfu", mfu)
    gpus.gpu_hours(1.0, gpu, share)
    return gpu, share


def document(
    answer: Optimum | Plateau | Regret,
    named: tuple[str, float] | None,
    size: sizes.Sizes,
    bound: Most,
) -> dict[str, Any]:
    """The answer's document, with what was typed beside the question.

    Args:
        answer: to be told.
        named: a GPU and its share, for hours.
        size: as typed; a budget is told.
        bound: on what is suggested; told where given.
    """
    found = answer.to_json()
    most = {"lr_max": bound["lr_max"], "batch_max": bound["batch_max"]}
    given = {name: value for name, value in most.items() if value is not None}
    if given:
        found["limits"] = given
    if size.computed is not None:
        found["from_flops"] = {"flops": size.flops, "computed": size.computed}
    if named is not None and found["price"]["flops"] is not None:
        hours = answer.decision.price.gpu_hours(*named)
        found["price"] |= {"gpu_hours": hours, "gpu": named[0].lower(), "mfu": named[1]}
    return found


def held_out(fit: Fit) -> dict[str, Any]:
    """What the fit's choices lost on cells left out of it, mean and its error."""
    score = (fit.scores or {}).get("regret") or {}
    found = {name: score.get(name) for name in ("mean", "se")}
    return {"held_out": found if found["mean"] is not None else None}


def check_ladder(found: Mapping[str, Any]) -> None:
    """Refuse a ladder of batches where the fit tells none.

    Raises:
        DataError: and what can be asked.
    """
    if found["ladder"] is None:
        raise DataError(
            "--ladder: the runs do not tell how the loss depends on batch, so there is "
            "no table of batches. Ask without --ladder: the best lr is told at the "
            "runs' own batch."
        )


def asked(fit: str, size: Mapping[str, Any], where: Mapping[str, Any]) -> Asked:
    """How the question was typed: `sizes.Typed` and `options.WhereTyped`."""
    from surrogate.cli.text.page import Asked

    named = {name: value for name, value in size.items() if name != "tied"}
    words = [
        word
        for name, value in {**named, "recipe": where["recipe"]}.items()
        if value is not None
        for word in (f"--{name.replace('_', '-')}", value)
    ]
    words += [word for value in where["scale"] for word in ("--scale", value)]
    words += ["--tied"] if size.get("tied") else []
    return Asked(fit, tuple(words))


def emit(
    found: dict[str, Any],
    as_json: bool,
    render: Callable[[dict[str, Any]], Sequence[RenderableType]],
    everything: bool,
) -> int:
    """`output.emit`, without the warnings that the short text itself says."""
    hide = () if as_json or everything else _SAID
    return output.emit(found, as_json, render, hide=hide)
