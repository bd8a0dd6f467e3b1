"""What a choice costs, what mends it, and the ladder of batches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from surrogate.base import shown
from surrogate.cli.text import common
from surrogate.cli.text.common import Document
from surrogate.cli.text.page import Page

if TYPE_CHECKING:
    from rich.console import RenderableType

# Settings this near in ln are one.
_SAME_SETTING = 0.01


def cost(page: Page, document: Document) -> None:
    """The price of a choice."""
    price = document.get("price") or {}
    share = price.get("tokens_share")
    if share is None:
        page.say("Costs", f"not known in tokens: {price.get('reason')}")
        return
    if document.get("one_sided") and document.get("inside") is None:
        page.say("Costs", "not known in tokens: the best may lie beyond what was tried")
        return
    bound = (price.get("interval") or [None, None])[1]
    least = "at least " if document.get("one_sided") else ""
    most = f", at most {shown.percent(bound)}" if bound else ""
    hours = price.get("gpu_hours")
    more = f", {common.count(hours)} hours of {price.get('gpu')}" if hours else ""
    cost = f"{shown.count(price['tokens'])} tokens, {shown.power(price['flops'])} FLOPs"
    page.say(
        "Costs", f"{least}{shown.percent(share)} of the tokens{most}: {cost}{more}"
    )


def fixes(document: Document) -> list[tuple[str, str]]:
    """What lr alone and batch alone would mend, the better one first."""
    said = []
    for name, form, other in (("lr", shown.lr, "batch"), ("batch", shown.count, "lr")):
        change = (document.get("change") or {}).get(name)
        if not change or change.get("regret") is None:
            continue
        # It is the choice already.
        if abs(math.log(change["best"] / document[name])) < _SAME_SETTING:
            continue
        enough = change.get("within_tol")
        near, of = f"; {form(enough)} is enough" if enough is not None else "", ""
        if document.get("one_sided"):
            near, of = "", " against the best tried"
        line = (
            f"{name} {form(change['best'])} at your {other} loses "
            f"{shown.percent(change['regret'])}{of}{near}"
        )
        said.append((change["regret"], line))
    lines = [line for _, line in sorted(said)]
    return [("Fix" if k == 0 else "or", line) for k, line in enumerate(lines)]


def ladder(document: Document) -> RenderableType:
    """The batch table."""
    rows = []
    for rung in document["ladder"]:
        share = rung.get("tokens_share")
        rows.append(
            (
                shown.typed_tokens(rung["batch"]),
                shown.lr(rung["lr"]),
                shown.loss(rung["loss"]),
                shown.percent(rung["regret"]),
                "unknown" if share is None else shown.percent(share),
                shown.count(rung["steps"]),
            )
        )
    names = ("batch", "best lr", "loss", "loses", "= of the tokens", "steps")
    return common.columns(names, rows)
