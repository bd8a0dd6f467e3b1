"""The command that plans runs: `next`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from surrogate.base.errors import DataError
from surrogate.cli import deciding, options, output, sizes, typing_numbers

if TYPE_CHECKING:
    from surrogate.answers.planned import Plan

_AIMS = ("regret", "lr", "loss")

OptionalFit = Annotated[
    str | None,
    typer.Argument(metavar="FIT", help="A folder written by `fit`; or --prior."),
]
Prior = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="No runs of your own yet: plan from this fit."),
]
Budget = Annotated[
    str | None,
    typer.Option(metavar="FLOPS", help="Of all runs, 6 N D each: 1e20, 1PF-day or 5%."),
]
Count = Annotated[
    str | None, typer.Option("--runs", metavar="K", help="So many at most; 12.")
]
PerRunMax = Annotated[
    str | None, typer.Option(metavar="FLOPS", help="Of one run at most.")
]
LrLevels = Annotated[
    str | None, typer.Option(metavar="LR,LR", help="The only learning rates to try.")
]
MaxParams = Annotated[
    str | None, typer.Option(metavar="N", help="The largest model to train.")
]
Seeds = Annotated[
    bool, typer.Option("--seeds", help="A setting may be run again with a new seed.")
]
Aim = Annotated[
    str, typer.Option("--for", metavar="|".join(_AIMS), help="What to lower.")
]
Out = Annotated[
    list[Path],
    typer.Option(
        metavar="FILE",
        help="Write the plan: .csv, .yaml (a W&B sweep), .txt or .json; repeatable.",
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Enqueue the runs as trials: sqlite:///x.db."),
]
Study = Annotated[
    str, typer.Option(metavar="NAME", help="Of the study in that storage.")
]


def next(
    fit: OptionalFit = None,
    *,
    prior: Prior = None,
    sized: sizes.TypedPlainly,
    budget: Budget = None,
    runs: Count = None,
    per_run_max: PerRunMax = None,
    lr_levels: LrLevels = None,
    batch_multiple: Annotated[
        str | None, typer.Option(metavar="M", help="Batches are multiples of M tokens.")
    ] = None,
    max_params: MaxParams = None,
    seeds: Seeds = False,
    aim: Aim = "regret",
    within: options.WhereTyped,
    transfer: options.Transfer = None,
    out: Out = [],  # noqa: B006
    optuna: Storage = None,
    study: Study = "surrogate-next",
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> int:
    """Which runs to make next: those that tell most for their FLOPs."""
    name = _source(fit, prior)
    size = sizes.read(sized)
    sizes.check_both(size)
    options.choose("--for", aim, _AIMS)
    more = options.where(within)
    limits = {
        "per_run_max": None
        if per_run_max is None
        else typing_numbers.flops(per_run_max, what="--per-run-max"),
        "batch_multiple": options.optional_batch(batch_multiple, "--batch-multiple"),
        "max_params": options.optional_count("--max-params", max_params),
        "runs": None if runs is None else options.whole("--runs", runs),
        "lr_levels": _levels(lr_levels),
        "repeats": seeds,
        "aim": aim,
        "transfer": transfer,
    }
    if budget is None:
        raise DataError(
            "Missing option '--budget'. Give the FLOPs that all runs may cost, such as "
            "--budget 1e20, or --budget 5% of the target's."
        )

    from surrogate.answers import load
    from surrogate.cli import plan_files
    from surrogate.cli.text import planning

    plan_files.check(out, optuna, overwrite)
    with options.dashed():
        fitted = load(name)
        where = deciding.point(fitted, size, more)
        spend = _budget(budget, where)
        plan = fitted.next_runs(
            **where, **limits, budget=spend, is_prior=prior is not None
        )
    document = output.json_value(plan.to_json())
    for k, run in enumerate(document["runs"]):
        run["seed"] = k
    document["files"] = _written(plan, document, out, optuna, study)
    short = partial(planning.plan, asked=deciding.asked(name, sized, within))
    return deciding.emit(document, json, short, False)


def _source(fit: str | None, prior: str | None) -> str:
    """The fit to plan from.

    Raises:
        DataError: none or two are given.
    """
    if (fit is None) == (prior is None):
        got = "neither" if fit is None else "both"
        raise DataError(
            f"Expected a FIT of your runs, or --prior NAME where there are none yet, "
            f"got {got}. Type `surrogate next FIT ...`, or `surrogate next --prior "
            "steplaw-dense ...`."
        )
    return str(fit or prior)


def _levels(text: str | None) -> tuple[float, ...]:
    """Learning rates between commas."""
    if text is None:
        return ()
    words = [word.strip() for word in text.split(",") if word.strip()]
    return tuple(typing_numbers.lr(word, what="--lr-levels") for word in words)


def _budget(text: str, where: options.Point) -> float:
    """FLOPs, or a share of the target's."""
    if text.strip().endswith("%"):
        share = options.inner_share("--budget", text)
        from surrogate.answers.planning.places import cost

        sizes_ = where["params"], where["tokens"], where["scales"] or {}
        return share * cost(*sizes_)
    return typing_numbers.flops(text, what="--budget")


def _written(
    plan: Plan,
    document: dict[str, Any],
    out: list[Path],
    optuna: str | None,
    study: str,
) -> list[str]:
    from surrogate.cli import plan_files

    found = [str(plan_files.write(file, document)) for file in out]
    if optuna is not None:
        found.append(plan_files.enqueue(optuna, study, document))
    return found
