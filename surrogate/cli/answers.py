"""Commands that ask a fit one question: optimum, plateau, regret."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from surrogate import units
from surrogate.cli import options, output
from surrogate.errors import DataError


def optimum(
    fit: options.FitArgument,
    *,
    params: options.OptionalParams = None,
    tokens: options.OptionalTokens = None,
    steps: options.Steps = None,
    flops: options.Flops = None,
    batch: options.Batch = None,
    lr: options.Lr = None,
    batch_multiple: Annotated[
        str | None,
        typer.Option(metavar="M", help="Batch must be a multiple of M tokens."),
    ] = None,
    recipe: options.RecipeName = None,
    scale: options.ScaleValues = [],  # noqa: B006
    lr_range: options.LrRange = None,
    batch_range: options.BatchRange = None,
    p_max: options.PMax = options.P_MAX,
    allow: options.Allow = [],  # noqa: B006
    transfer: options.Transfer = None,
    json: options.Json = False,
) -> int:
    """The learning rate and batch size of the lowest loss."""
    if batch is not None and lr is not None:
        raise DataError(
            "optimum: --batch and --lr are both given, so nothing is left to choose. "
            "Give one of them, or ask `surrogate regret` about the pair."
        )
    if batch is not None and batch_multiple is not None:
        raise DataError(
            "optimum: --batch-multiple says how the batch is chosen, but --batch "
            "fixes it. Give one of them."
        )
    sizes = {"params": params, "tokens": tokens, "steps": steps, "flops": flops}
    counts = {n: options.optional_count(f"--{n}", text) for n, text in sizes.items()}
    where = options.where(recipe, scale, lr_range, batch_range, p_max, allow)
    fixed_batch, fixed_lr = options.optional_batch(batch), options.optional_lr(lr)
    multiple = options.optional_batch(batch_multiple, "--batch-multiple")

    from surrogate.cli import text_answers
    from surrogate.query import load

    with options.dashed():
        answer = load(fit).optimum(
            **counts,
            **where,
            batch=fixed_batch,
            lr=fixed_lr,
            batch_multiple=multiple,
            transfer=transfer,
        )
    document = answer.to_json()
    if document["transfer"] and transfer is None:
        asked = {**sizes, "batch": batch, "lr": lr, "batch-multiple": batch_multiple}
        limit = None if p_max == options.P_MAX else p_max
        named = {**asked, "recipe": recipe, "scale": scale, "allow": allow}
        named |= {"lr-range": lr_range, "batch-range": batch_range, "p-max": limit}
        document["transfer"]["command"] = command("optimum", fit, named) + (
            f" --transfer {document['transfer']['law']}"
        )
    return output.emit(document, json, text_answers.optimum)


def command(
    verb: str, fit: str, asked: Mapping[str, str | Sequence[str] | None]
) -> str:
    """A command to paste into a shell, of the options that were given."""
    words = ["surrogate", verb, fit]
    for name, value in asked.items():
        for text in [value] if isinstance(value, str) else value or ():
            # A name that begins with a dash is no option.
            is_dashed = text.startswith("-")
            words += [f"--{name}={text}"] if is_dashed else [f"--{name}", text]
    return shlex.join(words)


def plateau(
    fit: options.FitArgument,
    *,
    params: options.Params,
    tokens: options.Tokens,
    tol: options.Tol = options.TOL,
    probability: options.Probability = options.PROBABILITY,
    batch: options.Batch = None,
    lr: options.Lr = None,
    recipe: options.RecipeName = None,
    scale: options.ScaleValues = [],  # noqa: B006
    lr_range: options.LrRange = None,
    batch_range: options.BatchRange = None,
    p_max: options.PMax = options.P_MAX,
    allow: options.Allow = [],  # noqa: B006
    json: options.Json = False,
) -> int:
    """The settings whose loss is within a tolerance."""
    where = options.point(
        params, tokens, recipe, scale, lr_range, batch_range, p_max, allow
    )
    tolerance = options.tolerance("--tol", tol)
    share = options.inner_share("--probability", probability)
    at_batch, at_lr = options.optional_batch(batch), options.optional_lr(lr)

    from surrogate.cli import text_answers
    from surrogate.query import load

    with options.dashed():
        answer = load(fit).plateau(
            **where, tol=tolerance, probability=share, batch=at_batch, lr=at_lr
        )
    return output.emit(answer.to_json(), json, text_answers.plateau)


def regret(
    fit: options.FitArgument,
    *,
    params: options.Params,
    tokens: options.Tokens,
    lr: Annotated[str, typer.Option(metavar="LR", help="Your learning rate.")],
    batch: Annotated[
        str, typer.Option(metavar="B", help="Your batch, in tokens, or 256x2048.")
    ],
    tol: options.Tol = options.TOL,
    recipe: options.RecipeName = None,
    scale: options.ScaleValues = [],  # noqa: B006
    lr_range: options.LrRange = None,
    batch_range: options.BatchRange = None,
    p_max: options.PMax = options.P_MAX,
    allow: options.Allow = [],  # noqa: B006
    json: options.Json = False,
) -> int:
    """What your learning rate and batch size lose."""
    where = options.point(
        params, tokens, recipe, scale, lr_range, batch_range, p_max, allow
    )
    tolerance = options.tolerance("--tol", tol)
    my_lr = units.parse_positive(lr, what="--lr")
    my_batch = units.parse_batch(batch, what="--batch")

    from surrogate.cli import text_answers
    from surrogate.query import load

    with options.dashed():
        answer = load(fit).regret(**where, lr=my_lr, batch=my_batch, tol=tolerance)
    return output.emit(answer.to_json(), json, text_answers.regret)
