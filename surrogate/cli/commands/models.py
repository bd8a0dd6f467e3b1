"""The command that lists public models, and what a fit says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from surrogate.base.errors import DataError
from surrogate.cli import options, output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from surrogate.answers import Fit
    from surrogate.laws.public_models import Model


def models(
    fit: Annotated[
        str | None,
        typer.Argument(metavar="[FIT]", help="Whose opinion of each choice to add."),
    ] = None,
    *,
    recipe: options.RecipeName = None,
    scale: options.ScaleValues = [],  # noqa: B006
    json: options.Json = False,
) -> int:
    """List public models with their lr and batch, for --model NAME.

    With a fit, what each maker's choice loses by it:
    surrogate models steplaw-dense
    """
    from surrogate.laws.public_models import MODELS

    scales = options.scale_values(scale)
    rows: list[dict[str, Any]] = [_row(each) for each in MODELS]
    kind = None
    if fit is not None:
        from surrogate.answers import load

        fitted = load(fit)
        kind = fitted.params_kind
        for row, each in zip(rows, MODELS, strict=True):
            row |= _said(fitted, each, recipe, scales)
    document = {
        "schema": output.SCHEMA,
        "fit": fit,
        "params_kind": kind,
        "models": rows,
        "warnings": [],
    }
    return output.emit(document, json, _text)


def _row(each: Model) -> dict[str, Any]:
    return {
        "name": each.name,
        "params_total": each.total,
        "params_non_embedding": each.non_embedding,
        "tokens": each.tokens,
        "lr": each.lr,
        "batch": each.batch,
        "source": each.source,
    }


def _said(
    fit: Fit, each: Model, recipe: str | None, scales: dict[str, float] | None
) -> dict[str, Any]:
    """Regret, price and trust of a maker's choice; null where it is not known."""
    size = {
        "params": each.params(fit.params_kind),
        "tokens": each.tokens,
        "recipe": recipe,
        "scales": scales,
    }
    none = {"regret": None, "tokens_share": None, "inside": None, "trust": None}
    try:
        if each.lr is None or each.batch is None:
            found = fit.optimum(**size)
            trust = found.decision.trust.level
            return {**none, "params": size["params"], "trust": trust}
        found = fit.regret(**size, lr=each.lr, batch=each.batch)
    except DataError as error:
        return {**none, "params": size["params"], "refused": str(error)}
    document = found.to_json()
    return {
        "params": size["params"],
        "regret": document["regret"],
        "tokens_share": document["price"]["tokens_share"],
        "inside": document["inside"],
        "trust": document["trust"]["level"],
    }


def _text(document: dict[str, Any]) -> list[RenderableType]:
    from surrogate.base import shown
    from surrogate.cli.text import common

    with_fit = document["fit"] is not None
    names = ["model", "params", "tokens", "lr", "batch"]
    names += ["loses", "= of the tokens", "trust"] if with_fit else []
    rows = []
    for each in document["models"]:
        row = [
            each["name"],
            shown.count(each.get("params") or each["params_total"]),
            shown.count(each["tokens"]),
            "-" if each["lr"] is None else shown.lr(each["lr"]),
            "-" if each["batch"] is None else shown.count(each["batch"]),
        ]
        if with_fit:
            lost, share = each.get("regret"), each.get("tokens_share")
            row += [
                "-" if lost is None else shown.percent(lost),
                "-" if share is None else shown.percent(share),
                str(each.get("trust") or "refused").replace("_", " "),
            ]
        rows.append(row)
    counted = {"non_embedding": "without embeddings, where they are known"}
    note = counted.get(str(document["params_kind"]), "with embeddings")
    return [
        common.columns(names, rows, left=["model", "trust"], kept=(0,)),
        common.title(
            f"params {note}; batch in tokens; sources: --json, docs/models.md"
        ),
    ]
