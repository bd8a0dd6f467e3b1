"""Commands that ask a fit one question: optimum, plateau, regret."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from surrogate.base.errors import DataError
from surrogate.cli import deciding, options, sizes, typing_numbers
from surrogate.cli.commands import points as questions


def optimum(
    fit: options.FitArgument,
    *,
    params: options.OptionalParams = None,
    tokens: options.OptionalTokens = None,
    steps: options.Steps = None,
    flops: options.Flops = None,
    model: sizes.ModelName = None,
    total_params: sizes.TotalParams = None,
    vocab: sizes.Vocab = None,
    width: sizes.Width = None,
    tied: sizes.Tied = False,
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
    lr_max: deciding.LrMax = None,
    batch_max: deciding.BatchMax = None,
    gpu: deciding.Gpu = None,
    mfu: deciding.Mfu = None,
    points: questions.PointsFile = None,
    out: questions.Out = None,
    overwrite: options.Overwrite = False,
    everything: deciding.All = False,
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
    size = sizes.read(params, tokens, model, total_params, vocab, width, tied)
    other = options.optional_counts({"steps": steps, "flops": flops})
    where = options.where(recipe, scale, lr_range, batch_range, p_max, allow)
    fixed_batch, fixed_lr = options.optional_batch(batch), options.optional_lr(lr)
    multiple = options.optional_batch(batch_multiple, "--batch-multiple")

    bound = deciding.most(lr_max, batch_max)
    machine = deciding.machine(gpu, mfu)
    questions.check(points, out)
    if points is not None:
        typed = {"params": params, "tokens": tokens, "model": model}
        shared = {**where, **bound, "batch_multiple": multiple}
        return questions.run(
            *("optimum", fit, points, out, overwrite),
            {**typed, "lr": lr, "batch": batch},
            shared,
            json,
        )

    from surrogate.answers import load
    from surrogate.cli.text import answers, decision

    with options.dashed():
        fitted = load(fit)
        own = size.params_of(fitted.params_kind)
        answer = fitted.optimum(
            params=own,
            tokens=None if steps or flops else size.tokens_of(own),
            **other,
            **where,
            **bound,
            batch=fixed_batch,
            lr=fixed_lr,
            batch_multiple=multiple,
            transfer=transfer,
        )
    document = deciding.document(answer, machine)
    typed = {"params": params, "tokens": tokens, "steps": steps, "flops": flops}
    asked = deciding.asked(
        fit,
        {**typed, **_named(model, total_params, vocab, width, recipe)},
        scale,
        tied=tied,
    )
    found = document["transfer"]
    if found and transfer is None:
        limit = None if p_max == options.P_MAX else p_max
        more = {"batch": batch, "lr": lr, "batch-multiple": batch_multiple}
        more |= {"lr-range": lr_range, "batch-range": batch_range, "p-max": limit}
        words = [(n, value) for n, value in more.items() if value is not None]
        words += [*(("allow", word) for word in allow), ("transfer", found["law"])]
        options_said = [word for n, value in words for word in (f"--{n}", value)]
        found["command"] = asked.command("optimum", *options_said)
    # What a law carries has a text of its own.
    short = partial(decision.optimum, asked=asked)
    render = answers.optimum if everything or found else short
    return deciding.emit(document, json, render, everything or bool(found))


def plateau(
    fit: options.FitArgument,
    *,
    params: options.OptionalParams = None,
    tokens: options.OptionalTokens = None,
    model: sizes.ModelName = None,
    total_params: sizes.TotalParams = None,
    vocab: sizes.Vocab = None,
    width: sizes.Width = None,
    tied: sizes.Tied = False,
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
    lr_max: deciding.LrMax = None,
    batch_max: deciding.BatchMax = None,
    batch_multiple: deciding.BatchMultiple = None,
    ladder: deciding.Ladder = False,
    with_map: deciding.MapPlot = False,
    gpu: deciding.Gpu = None,
    mfu: deciding.Mfu = None,
    points: questions.PointsFile = None,
    out: questions.Out = None,
    overwrite: options.Overwrite = False,
    everything: deciding.All = False,
    json: options.Json = False,
) -> int:
    """The settings whose loss is within a tolerance."""
    size = sizes.read(params, tokens, model, total_params, vocab, width, tied)
    questions.check(points, out)
    if points is None:
        sizes.check_both(size)
    more = options.where(recipe, scale, lr_range, batch_range, p_max, allow)
    tolerance = typing_numbers.tolerance(tol)
    share = options.inner_share("--probability", probability)
    at_batch, at_lr = options.optional_batch(batch), options.optional_lr(lr)

    bound = deciding.limits(lr_max, batch_max, batch_multiple)
    machine = deciding.machine(gpu, mfu)
    if points is not None:
        typed = {"params": params, "tokens": tokens, "model": model}
        shared = {**more, **bound, "probability": share}
        return questions.run(
            *("plateau", fit, points, out, overwrite),
            {**typed, "lr": lr, "batch": batch},
            {**shared, "tol": questions.plain(tolerance)},
            json,
        )

    from surrogate.answers import load
    from surrogate.cli.text import answers, decision

    with options.dashed():
        fitted = load(fit)
        surface = fitted.at(**deciding.point(fitted, size, more))
        answer = surface.plateau(
            **bound,
            tol=deciding.share_of_loss(surface, tolerance),
            probability=share,
            batch=at_batch,
            lr=at_lr,
        )
    document = deciding.document(answer, machine) | deciding.held_out(fitted)
    if ladder:
        deciding.check_ladder(document)
    named = _named(model, total_params, vocab, width, recipe)
    typed = {"params": params, "tokens": tokens, **named}
    asked = deciding.asked(fit, typed, scale, tied=tied)
    short = partial(
        decision.plateau, asked=asked, with_ladder=ladder, with_map=with_map
    )
    return deciding.emit(
        document, json, answers.plateau if everything else short, everything
    )


def regret(
    fit: options.FitArgument,
    *,
    params: options.OptionalParams = None,
    tokens: options.OptionalTokens = None,
    model: sizes.ModelName = None,
    total_params: sizes.TotalParams = None,
    vocab: sizes.Vocab = None,
    width: sizes.Width = None,
    tied: sizes.Tied = False,
    lr: Annotated[
        str | None, typer.Option(metavar="LR", help="Your learning rate.")
    ] = None,
    batch: Annotated[
        str | None,
        typer.Option(metavar="B", help="Your batch, in tokens, or 256x2048."),
    ] = None,
    tol: options.Tol = options.TOL,
    recipe: options.RecipeName = None,
    scale: options.ScaleValues = [],  # noqa: B006
    lr_range: options.LrRange = None,
    batch_range: options.BatchRange = None,
    p_max: options.PMax = options.P_MAX,
    allow: options.Allow = [],  # noqa: B006
    lr_max: deciding.LrMax = None,
    batch_max: deciding.BatchMax = None,
    batch_multiple: deciding.BatchMultiple = None,
    gpu: deciding.Gpu = None,
    mfu: deciding.Mfu = None,
    points: questions.PointsFile = None,
    out: questions.Out = None,
    overwrite: options.Overwrite = False,
    everything: deciding.All = False,
    json: options.Json = False,
) -> int:
    """What your learning rate and batch size lose."""
    size = sizes.read(params, tokens, model, total_params, vocab, width, tied)
    questions.check(points, out)
    if points is None:
        sizes.check_both(size)
    more = options.where(recipe, scale, lr_range, batch_range, p_max, allow)
    tolerance = typing_numbers.tolerance(tol)
    bound = deciding.limits(lr_max, batch_max, batch_multiple)
    machine = deciding.machine(gpu, mfu)
    if points is not None:
        typed = {"params": params, "tokens": tokens, "model": model}
        return questions.run(
            *("regret", fit, points, out, overwrite),
            {**typed, "lr": lr, "batch": batch},
            {**more, **bound, "tol": questions.plain(tolerance)},
            json,
        )
    my_lr, my_batch = deciding.choice(lr, batch, size.named)

    from surrogate.answers import load
    from surrogate.cli.text import answers, decision

    with options.dashed():
        fitted = load(fit)
        surface = fitted.at(**deciding.point(fitted, size, more))
        answer = surface.regret(
            **bound,
            lr=my_lr,
            batch=my_batch,
            tol=deciding.share_of_loss(surface, tolerance),
        )
    document = deciding.document(answer, machine)
    named = _named(model, total_params, vocab, width, recipe)
    typed = {"params": params, "tokens": tokens, **named}
    asked = deciding.asked(fit, typed, scale, tied=tied)
    short = partial(decision.regret, asked=asked)
    return deciding.emit(
        document, json, answers.regret if everything else short, everything
    )


def _named(
    model: str | None,
    total_params: str | None,
    vocab: str | None,
    width: str | None,
    recipe: str | None,
) -> dict[str, str | None]:
    """What says the sizes and the recipe by other names, as typed."""
    return {
        "model": model,
        "total-params": total_params,
        "vocab": vocab,
        "width": width,
        "recipe": recipe,
    }
