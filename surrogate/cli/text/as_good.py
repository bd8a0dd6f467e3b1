"""What is as good as the best: boxes, larger batches, slices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from surrogate.base import shown
from surrogate.cli.text import common
from surrogate.cli.text.common import Document
from surrogate.cli.text.page import Page
from surrogate.cli.text.setting import batch_text

# A rung of the ladder this near in octaves to half the batch, or twice, serves for it.
_SAME_RUNG = 0.5
# A range of lr below this factor is hardly one.
_THIN = 1.2


def as_good(page: Page, document: Document) -> None:
    """The inner box: the robust one where there is one."""
    robust, box = document.get("inner_robust"), _box(document)
    tolerance = shown.percent(document["tol"])
    is_open = bool(document.get("one_sided"))
    if not box and is_open:
        page.say("As good", "not known: the best may lie beyond what was tried")
        return
    if not box:
        why = "no range of lr goes with a range of batch"
        page.say("As good", f"nothing else within {tolerance}: {why}")
        return
    lr, batch = box["lr"], box["batch"]
    any_lr = f"any lr {span(lr, shown.lr)}"
    if batch[0] is not None and batch[0] == batch[1]:
        page.say("As good", f"{any_lr} at batch {shown.count(batch[0])}")
    elif batch == [None, None] and not _has_batch(document):
        page.say("As good", any_lr)
    else:
        page.say("As good", f"{any_lr} with any batch {span(batch, shown.count)}")
    price = document.get("price") or {}
    share = price.get("tokens_share")
    worth = ""
    if share is not None and price.get("of") == "tolerance":
        hours = price.get("gpu_hours")
        cost = f" ({common.count(hours)} hours of {price.get('gpu')})" if hours else ""
        worth = f", as with {shown.percent(share)} fewer tokens{cost}"
    best = "best that was tried" if is_open else "best loss"
    page.say("", f"at most {tolerance} above the {best}{worth}")
    probability = (document.get("robust") or {}).get("probability")
    if robust and probability:
        page.say("", f"(in {100 * probability:.0f} % of the fits to resampled runs)")
        if _is_thin(robust) and (inner := document.get("inner")):
            page.say("", f"by the fit alone {_said_box(inner)}")
            _other(page, document)
            return
    elif robust is None and document.get("robust"):
        page.say("", "by the fit alone: no box is that safe in most resampled fits")
    _largest(page, document, batch)
    _other(page, document)


def _box(document: Document) -> Document | None:
    """The inner box that is shown."""
    return document.get("inner_robust") or document.get("inner")


def _is_thin(box: Document) -> bool:
    """Whether a box is hardly more than one lr."""
    low, high = box["lr"]
    return low is not None and high is not None and low < high < _THIN * low


def _said_box(box: Document) -> str:
    lr, batch = box["lr"], box["batch"]
    if batch[0] is not None and batch[0] == batch[1]:
        return f"lr {span(lr, shown.lr)}"
    return f"lr {span(lr, shown.lr)} with batch {span(batch, shown.count)}"


def span(ends: Sequence[float | int | None], form: Callable[[float], str]) -> str:
    """A range, one value where both ends look alike."""
    low, high = ends[0], ends[1]
    if low is not None and high is not None and form(low) == form(high):
        return form(low)
    return shown.span(ends[0], ends[1], form)


def _has_batch(document: Document) -> bool:
    return (document.get("suggestion") or {}).get("batch") is not None


def _other(page: Page, document: Document) -> None:
    """What half and twice the batch lose, each with its own best lr."""
    use = document.get("suggestion") or {}
    parts = []
    for times in (0.5, 2.0):
        most = (document.get("limits") or {}).get("batch_max") or math.inf
        rungs = [r for r in document.get("ladder") or () if r["batch"] <= most]
        aim = times * (use.get("batch") or math.inf)
        near = [r for r in rungs if abs(math.log2(r["batch"] / aim)) < _SAME_RUNG]
        if near:
            rung = min(near, key=lambda r: abs(math.log2(r["batch"] / aim)))
            batch, lost = shown.typed_tokens(rung["batch"]), rung["regret"]
            loses = "" if parts else "loses "
            said = f"{batch} (lr {shown.lr(rung['lr'])}) {loses}{shown.percent(lost)}"
            parts.append(said)
    if parts:
        page.say("Other", f"batch {', '.join(parts)}")


def _largest(page: Page, document: Document, batch: list[float | None]) -> None:
    far = document.get("largest_batch")
    if (
        not far
        or batch[1] is None
        or "batch_high" in (document.get("open_edges") or ())
    ):
        return
    most = (document.get("limits") or {}).get("batch_max") or math.inf
    if far["batch"] > 1.1 * batch[1] and far["batch"] <= most:
        page.say(
            "",
            f"larger batches, to {shown.count(far['batch'])}, with lr near "
            f"{shown.lr(far['lr'])}",
        )


def asked_slices(page: Page, document: Document) -> None:
    """What was asked with --batch or --lr."""
    sides = document.get("one_sided") or {}
    at, box = document.get("lr_at_batch"), _box(document)
    is_said = box is not None and at and box["batch"] == [at["batch"], at["batch"]]
    if at and not is_said and "lr" not in sides:
        batch = batch_text(document, at["batch"])
        page.say("Then", f"at batch {batch}: {_ends(at, 'lr', shown.lr)}")
    at = document.get("batch_at_lr")
    if at and "batch" not in sides:
        page.say(
            "Then",
            f"at lr {shown.lr(at['lr'], 3)}: {_ends(at, 'batch', shown.count)}",
        )


def _ends(part: Document, name: str, form: Any) -> str:
    low, high = part.get("low"), part.get("high")
    if low is None and high is None:
        return "nothing is within the tolerance"
    return f"{name} {shown.span(low, high, form)}"
