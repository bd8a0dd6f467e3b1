"""The text of a plan: what it buys, the runs in order, when to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from surrogate.base import shown
from surrogate.cli.output import plain
from surrogate.cli.text import common
from surrogate.cli.text.common import Document
from surrogate.cli.text.page import Asked, Page

if TYPE_CHECKING:
    from rich.console import RenderableType

# The screen has 25 lines.
_MOST_RUNS = 12


def plan(document: Document, asked: Asked) -> list[RenderableType]:
    """What the plan buys first, then its runs, then whether more of it pays."""
    page = Page(common.place(document, "params"), asked.fit)
    runs = document["runs"]
    if not runs:
        page.say("Runs", "none: no run within the limits tells anything", "bold")
        _stop(page, document)
        return page.done()
    share = document["flops"] / document["target"]["flops"]
    page.say(
        "Runs",
        f"{len(runs)} for {shown.power(document['flops'])} FLOPs of "
        f"{shown.power(document['budget'])}, {shown.percent(share)} of the target's",
        "bold",
    )
    _buys(page, document)
    head = page.done()
    rest = Page("", "")
    _stop(rest, document)
    for file in document.get("files") or ():
        rest.say("Wrote", file)
    more = "--out plan.csv, plan.yaml (W&B) or plan.txt, --optuna STORAGE, --json"
    rest.say("command", f"More: {more}", "dim")
    return [*head, *_table(runs), *rest.done()[1:]]


def _buys(page: Page, document: Document) -> None:
    before, after = document["before"], document["after"]
    parts = []
    for name in ("lr", "batch"):
        low, high = before[f"{name}_factor"], after[f"{name}_factor"]
        if low is not None:
            parts.append(f"{name} within x{low:.2f} -> x{high:.2f}")
    page.say("Buys", f"best {', '.join(parts)} (95 %)")
    bounds = (before["regret_upper"], after["regret_upper"])
    if None not in bounds:
        low, high = (_permille(value) for value in bounds)
        page.say("", f"the suggestion loses at most {low} -> {high} of the loss")


def _permille(share: float) -> str:
    """Small shares in per cent, two digits even under 0.01 %."""
    return (
        shown.percent(share) if share >= 1e-4 or share == 0 else f"{100 * share:.1g} %"
    )


def _table(runs: list[dict[str, Any]]) -> list[RenderableType]:
    """The runs; what is known after each."""
    scales = list(runs[0]["scales"])
    names = ["", "lr", "batch", "params", *scales, "tokens", "FLOPs", "total"]
    names += ["lr within", "loses" if scales else "loses at most"]
    rows = []
    for k, run in enumerate(runs[:_MOST_RUNS]):
        batch, factor = run["batch"], run["after"]["lr_factor"]
        upper = run["after"]["regret_upper"]
        rows.append(
            [
                str(k + 1),
                shown.lr(run["lr"]),
                "any" if batch is None else shown.typed_tokens(batch),
                shown.count(run["params"]),
                *(shown.count(run["scales"][name]) for name in scales),
                shown.count(run["tokens"]),
                shown.power(run["flops"]),
                shown.power(run["flops_total"]),
                "" if factor is None else f"x{factor:.2f}",
                "" if upper is None else _permille(upper),
            ]
        )
    found: list[RenderableType] = [common.columns(names, rows)]
    if len(runs) > _MOST_RUNS:
        more = len(runs) - _MOST_RUNS
        found.append(
            common.title(f"... and {more} more runs: --out and --json have all.")
        )
    return found


def _stop(page: Page, document: Document) -> None:
    """Whether the plan pays, and whether more would."""
    stop, runs = document["stop"], document["runs"]
    count, first = stop["runs"], runs[: stop["runs"] or 0]
    worth = stop["worth_flops"]
    saves = f"saves what {shown.power(worth or 0.0)} FLOPs at the target would"
    if stop["pays"]:
        page.say("Pays", f"yes: it {saves}")
    elif count:
        page.say(
            "Pays",
            f"up to run {count}, which costs {shown.power(first[-1]['flops_total'])}; "
            f"all of it {saves}, less than it costs",
        )
    elif stop["pays"] is False:
        page.say(
            "Pays",
            f"no: it {saves}, less than it costs. The answer you have is good enough.",
            "yellow",
        )
    more = stop["more"]
    if not more["flops"] or stop["pays"] is False:
        return
    said = f"another {shown.power(more['flops'])} FLOPs would lower the "
    now, then = document["after"]["regret_upper"], more["regret_upper"]
    if None in (now, then):
        return
    said += f"{_permille(now)} to {_permille(then)}"
    if more["pays"] is not None:
        said += ", and pay" if more["pays"] else ": not worth it"
    page.say("After", f"{plain(said)}")
