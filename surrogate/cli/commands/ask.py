"""Commands that ask a fit one question: optimum, plateau, regret."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from surrogate.base.errors import DataError
from surrogate.cli import deciding, options, sizes, typing_numbers
from surrogate.cli.commands import points


def optimum(
    fit: options.FitArgument,
    *,
    sized: sizes.TypedOrBudget,
    batch: options.Batch = None,
    lr: options.Lr = None,
    batch_multiple: Annotated[
        str | None,
        typer.Option(metavar="M", help="Batch must be a multiple of M tokens."),
    ] = None,
    within: options.WhereTyped,
    transfer: options.Transfer = None,
    lr_max: deciding.LrMax = None,
    batch_max: deciding.BatchMax = None,
    gpu: deciding.Gpu = None,
    mfu: deciding.Mfu = None,
    file: points.PointsFile = None,
    out: points.Out = None,
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
    size = sizes.read(sized)
    steps = options.optional_count("--steps", sized["steps"])
    budget = size.flops if steps is not None or size.computed is None else None
    if steps is not None and sized["tokens"] is not None:
        raise DataError(
            "--tokens and --steps are both given: steps x batch are the tokens. Leave "
            "one out."
        )
    where = options.where(within)
    fixed_batch, fixed_lr = options.optional_batch(batch), options.optional_lr(lr)
    multiple = options.optional_batch(batch_multiple, "--batch-multiple")

    bound = deciding.most(lr_max, batch_max)
    machine = deciding.machine(gpu, mfu)
    points.check(file, out)
    if file is not None:
        typed = {**sized, "lr": lr, "batch": batch}
        shared = {**where, **bound, "batch_multiple": multiple}
        many = points.Questions("optimum", file, out, overwrite, typed, shared)
        return points.run(fit, many, json)

    from surrogate.answers import load
    from surrogate.cli.text import answers, decision

    with options.dashed():
        fitted = load(fit)
        sizes.check_budget(size, fitted.scale_names)
        own = size.params_of(fitted.params_kind)
        answer = fitted.optimum(
            params=own,
            tokens=size.tokens_of(own) if steps is None else None,
            steps=steps,
            flops=budget,
            **where,
            **bound,
            batch=fixed_batch,
            lr=fixed_lr,
            batch_multiple=multiple,
            transfer=transfer,
        )
    document = deciding.document(answer, machine, size, bound)
    asked = deciding.asked(fit, sized, within)
    found = document["transfer"]
    if found and transfer is None:
        limit = within["p_max"]
        more = {"batch": batch, "lr": lr, "batch-multiple": batch_multiple}
        more |= {"lr-range": within["lr_range"], "batch-range": within["batch_range"]}
        more["p-max"] = None if limit == options.P_MAX else limit
        words = [(n, value) for n, value in more.items() if value is not None]
        words += [("allow", word) for word in within["allow"]]
        words.append(("transfer", found["law"]))
        options_said = [word for n, value in words for word in (f"--{n}", value)]
        found["command"] = asked.command("optimum", *options_said)
    # What a law carries has a text of its own.
    short = partial(decision.optimum, asked=asked)
    render = answers.optimum if everything or found else short
    return deciding.emit(document, json, render, everything or bool(found))


def plateau(
    fit: options.FitArgument,
    *,
    sized: sizes.Typed,
    tol: options.Tol = options.TOL,
    probability: options.Probability = options.PROBABILITY,
    batch: options.Batch = None,
    lr: options.Lr = None,
    within: options.WhereTyped,
    lr_max: deciding.LrMax = None,
    batch_max: deciding.BatchMax = None,
    batch_multiple: deciding.BatchMultiple = None,
    ladder: deciding.Ladder = False,
    with_map: deciding.MapPlot = False,
    gpu: deciding.Gpu = None,
    mfu: deciding.Mfu = None,
    file: points.PointsFile = None,
    out: points.Out = None,
    overwrite: options.Overwrite = False,
    everything: deciding.All = False,
    json: options.Json = False,
) -> int:
    """The settings whose loss is within a tolerance."""
    size = sizes.read(sized)
    points.check(file, out)
    if file is None:
        sizes.check_both(size)
    more = options.where(within)
    tolerance = typing_numbers.tolerance(tol)
    share = options.inner_share("--probability", probability)
    at_batch, at_lr = options.optional_batch(batch), options.optional_lr(lr)

    bound = deciding.limits(lr_max, batch_max, batch_multiple)
    machine = deciding.machine(gpu, mfu)
    if file is not None:
        typed = {**sized, "lr": lr, "batch": batch}
        shared = {**more, **bound, "probability": share}
        shared["tol"] = points.plain(tolerance)
        many = points.Questions("plateau", file, out, overwrite, typed, shared)
        return points.run(fit, many, json)

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
    document = deciding.document(answer, machine, size, bound) | deciding.held_out(
        fitted
    )
    if ladder:
        deciding.check_ladder(document)
    asked = deciding.asked(fit, sized, within)
    short = partial(
        decision.plateau, asked=asked, with_ladder=ladder, with_map=with_map
    )
    return deciding.emit(
        document, json, answers.plateau if everything else short, everything
    )


def regret(
    fit: options.FitArgument,
    *,
    sized: sizes.Typed,
    lr: Annotated[
        str | None, typer.Option(metavar="LR", help="Your learning rate.")
    ] = None,
    batch: Annotated[
        str | None,
        typer.Option(metavar="B", help="Your batch, in tokens, or 256x2048."),
    ] = None,
    tol: options.Tol = options.TOL,
    within: options.WhereTyped,
    lr_max: deciding.LrMax = None,
    batch_max: deciding.BatchMax = None,
    batch_multiple: deciding.BatchMultiple = None,
    gpu: deciding.Gpu = None,
    mfu: deciding.Mfu = None,
    file: points.PointsFile = None,
    out: points.Out = None,
    overwrite: options.Overwrite = False,
    everything: deciding.All = False,
    json: options.Json = False,
) -> int:
    """What your learning rate and batch size lose."""
    size = sizes.read(sized)
    points.check(file, out)
    if file is None:
        sizes.check_both(size)
    more = options.where(within)
    tolerance = typing_numbers.tolerance(tol)
    bound = deciding.limits(lr_max, batch_max, batch_multiple)
    machine = deciding.machine(gpu, mfu)
    if file is not None:
        typed = {**sized, "lr": lr, "batch": batch}
        shared = {**more, **bound, "tol": points.plain(tolerance)}
        many = points.Questions("regret", file, out, overwrite, typed, shared)
        return points.run(fit, many, json)
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
    document = deciding.document(answer, machine, size, bound)
    asked = deciding.asked(fit, sized, within)
    short = partial(decision.regret, asked=asked)
    return deciding.emit(
        document, json, answers.regret if everything else short, everything
    )
