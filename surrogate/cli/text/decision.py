"""The short text of optimum, plateau and regret: what to type, its cost, its trust.

Made from the JSON document alone, as all text; `--all` prints `text.answers` instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from surrogate.base import shown
from surrogate.cli import map_plot
from surrogate.cli.output import usual_width
from surrogate.cli.text import common
from surrogate.cli.text.as_good import as_good, asked_slices
from surrogate.cli.text.common import Document
from surrogate.cli.text.costs import cost, fixes, ladder
from surrogate.cli.text.notes import more, notes, refused
from surrogate.cli.text.page import Asked, Page
from surrogate.cli.text.setting import ROUNDING, batch_text, exact, scanned, use

if TYPE_CHECKING:
    from rich.console import RenderableType


def optimum(document: Document, asked: Asked) -> list[RenderableType]:
    """The setting to type, the exact optimum and its interval."""
    page = Page(common.place(document, "params"), asked.fit)
    if document.get("loss") is None:
        refused(page, document)
    else:
        use(page, document)
        exact(page, document)
        low, high = (document.get("interval") or {}).get("loss") or (None, None)
        known = "" if low is None else f" ({low:.4f} to {high:.4f})"
        page.say("Loss", f"{document['loss']:.4f}{known} {common.unit(document)}")
        scanned(page, document)
        notes(page, document)
    more(page, document, asked)
    return page.done()


def plateau(
    document: Document,
    asked: Asked,
    with_ladder: bool = False,
    with_map: bool = False,
) -> list[RenderableType]:
    """The setting to type, the box that is as good, and what leaving it costs.

    Args:
        document: the answer.
        asked: how it was typed.
        with_ladder: the table of batches in place of the box.
        with_map: a map of the plateau even where the terminal is narrow.
    """
    from rich.console import Console
    from rich.text import Text

    page = Page(common.place(document, "params"), asked.fit)
    is_wide = Console(width=usual_width()).width >= map_plot.BESIDE
    rows = [] if with_ladder else map_plot.lines(document)
    page.map = rows if is_wide else []
    if document.get("loss_min") is None or document.get("suggestion") is None:
        refused(page, document)
    else:
        use(page, document)
        if not with_ladder:
            as_good(page, document)
        asked_slices(page, document)
        notes(page, document)
    lines = page.done()
    if with_ladder and document.get("ladder"):
        return [*lines[:2], ladder(document), *lines[2:]]
    more(page, document, asked)
    below = rows if with_map and not is_wide else []
    return [*page.done(), *(Text(row, no_wrap=True) for row in below)]


def regret(document: Document, asked: Asked) -> list[RenderableType]:
    """What a choice loses, what that is in tokens, and the cheapest fix."""
    page = Page(common.place(document, "params"), asked.fit)
    batch = batch_text(document, document["batch"])
    page.say("Yours", f"lr {shown.lr(document['lr'], 3)}, batch {batch}")
    lost = document.get("regret")
    if lost is None:
        refused(page, document)
        return page.done()
    page.say("Loses", _loses(document, lost))
    cost(page, document)
    if document.get("inside") is not True:
        for change in fixes(document):
            page.say(*change)
    own = (document.get("suggestion") or {}).get("regret") or 0.0
    better = "Better" if document.get("inside") is False else "Best"
    better = "Allowed" if own > max(lost, ROUNDING) else better
    use(page, document, label="So far" if document.get("one_sided") else better)
    notes(page, document)
    return page.done()


def _loses(document: Document, lost: float) -> str:
    """How much a choice loses, and whether that is within the plateau."""
    if document.get("one_sided"):
        than = "against the best that was tried; better may lie beyond"
        if document.get("inside") is None:
            return f"not known: {shown.percent(lost)} {than}"
        return f"at least {shown.percent(lost)} of the loss, {than}"
    bound = ((document.get("interval") or {}).get("regret") or (None, None))[1]
    level = (document.get("interval") or {}).get("level") or 0.95
    most = f", at most {shown.percent(bound)} ({100 * level:.0f} %)" if bound else ""
    verdict = "within" if document.get("inside") else "outside"
    return (
        f"{shown.percent(lost)} of the loss{_alone(document)}{most}: {verdict} the "
        f"{shown.percent(document['tol'])} plateau"
    )


def _alone(document: Document) -> str:
    """Which setting a loss is of, where the runs tell the best of one only."""
    changes = document.get("change") or {}
    told = [name for name, change in changes.items() if change is not None]
    return f" by its {told[0]} alone" if len(told) == 1 else ""
