"""The short text of optimum, plateau and regret: what to type, its cost, its trust.

Made from the JSON document alone, as all text; `--all` prints `text.answers` instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from surrogate.base import shown
from surrogate.base.about import sentence
from surrogate.base.errors import Status
from surrogate.cli import map_plot
from surrogate.cli.output import plain, usual_width
from surrogate.cli.text import common
from surrogate.cli.text.common import Document

if TYPE_CHECKING:
    from rich.console import RenderableType

# A note's mark, by how much it is a warning.
_MARKS = {"inside": ".", "near": "!", "far": "!", "too_uncertain": "!"}
_WORDS = {
    "inside": "Inside the data",
    "near": "Near the edge of the data",
    "far": "Far outside the data, a starting point only",
    "too_uncertain": "Too uncertain to rely on",
}
_INDENT, _LABEL = 2, 9
# A rung of the ladder this near in octaves to half the batch, or twice, serves for it.
_SAME_RUNG = 0.5
# A range of lr below this factor is hardly one.
_THIN = 1.2
# More than rounding costs.
_ROUNDING = 5e-4
# Settings this near in ln are one.
_SAME_SETTING = 0.01
_WIDEST = 100


@dataclass(frozen=True)
class Asked:
    """How the question was typed, for the lines that offer the next command.

    Attributes:
        fit: its name.
        options: sizes, recipe and scales, as typed.
    """

    fit: str
    options: tuple[str, ...]

    def command(self, name: str, *more: str) -> str:
        """A command to paste, about the same question."""
        return " ".join(
            _quoted(w) for w in ("surrogate", name, self.fit, *self.options, *more)
        )


def _quoted(word: str) -> str:
    import shlex

    return shlex.quote(word)


class _Page:
    """Lines of labelled text, wrapped to the terminal."""

    def __init__(self, title: str, name: str) -> None:
        """A title on the left, the fit's name on the right."""
        self.lines: list[Any] = []
        self.map: list[str] = []
        self._title = (title, name)

    def say(self, label: str, said: str, style: str = "") -> None:
        self.lines.append((label, said, style))

    def done(self) -> list[RenderableType]:
        import textwrap

        from rich.console import Console
        from rich.text import Text

        whole = Console(width=usual_width()).width
        title, name = self._title
        side = max(map(len, self.map)) + 2 if self.map else 0
        width = min(whole - side, _WIDEST)
        gap = max(width + side - len(title) - len(name), 2)
        found: list[RenderableType] = [
            Text(plain(title), style="bold")
            + Text(" " * gap + plain(name), style="dim")
        ]
        for label, said, style in self.lines:
            if label == "command":
                found.append(Text(said, no_wrap=True, overflow="ignore", style=style))
                continue
            is_mark = len(label) == 1
            indent = _INDENT + (2 if is_mark else _LABEL if label is not None else 0)
            # A number and its % stay on one line.
            joined = plain(said).replace(" %", "\xa0%")
            parts = textwrap.wrap(joined, max(width - indent, 20)) or [""]
            for k, part in enumerate(part.replace("\xa0", " ") for part in parts):
                head = (label or "") if k == 0 else ""
                line = Text(" " * _INDENT + head.ljust(indent - _INDENT), style="cyan")
                found.append(line + Text(part, style=style))
        return _with_map(found, self.map, width)


def _with_map(
    lines: list[RenderableType], rows: Sequence[str], width: int
) -> list[RenderableType]:
    """The map at the right of the lines below the title, while they are short."""
    from rich.text import Text

    left = list(rows)
    found = [lines[0]]
    for line in [*lines[1:], *[Text("")] * max(len(rows) - len(lines) + 1, 0)]:
        assert isinstance(line, Text)
        # A command to paste may be longer than its column.
        if left and line.cell_len <= width:
            gap = " " * (width + 2 - line.cell_len)
            line = line + Text(gap) + Text(left.pop(0), no_wrap=True)
        found.append(line)
    return [*found, *(Text(" " * (width + 2) + row) for row in left)]


def optimum(document: Document, asked: Asked) -> list[RenderableType]:
    """The setting to type, the exact optimum and its interval."""
    page = _Page(common.place(document, "params"), asked.fit)
    if document.get("loss") is None:
        _refused(page, document)
    else:
        _use(page, document)
        _exact(page, document)
        low, high = (document.get("interval") or {}).get("loss") or (None, None)
        known = "" if low is None else f" ({low:.4f} to {high:.4f})"
        page.say("Loss", f"{document['loss']:.4f}{known} {common.unit(document)}")
        _scanned(page, document)
        _notes(page, document)
    _more(page, document, asked)
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

    page = _Page(common.place(document, "params"), asked.fit)
    is_wide = Console(width=usual_width()).width >= map_plot.BESIDE
    rows = [] if with_ladder else map_plot.lines(document)
    page.map = rows if is_wide else []
    if document.get("loss_min") is None or document.get("suggestion") is None:
        _refused(page, document)
    else:
        _use(page, document)
        if not with_ladder:
            _as_good(page, document)
        _asked_slices(page, document)
        _notes(page, document)
    lines = page.done()
    if with_ladder and document.get("ladder"):
        return [*lines[:2], _ladder(document), *lines[2:]]
    _more(page, document, asked)
    below = rows if with_map and not is_wide else []
    return [*page.done(), *(Text(row, no_wrap=True) for row in below)]


def regret(document: Document, asked: Asked) -> list[RenderableType]:
    """What a choice loses, what that is in tokens, and the cheapest fix."""
    page = _Page(common.place(document, "params"), asked.fit)
    choice = (
        f"lr {shown.lr(document['lr'], 3)}, batch {_batch(document, document['batch'])}"
    )
    page.say("Yours", choice)
    lost = document.get("regret")
    if lost is None:
        _refused(page, document)
        return page.done()
    page.say("Loses", _loses(document, lost))
    _cost(page, document)
    if document.get("inside") is not True:
        for change in _fixes(document):
            page.say(*change)
    own = (document.get("suggestion") or {}).get("regret") or 0.0
    better = "Better" if document.get("inside") is False else "Best"
    better = "Allowed" if own > max(lost, _ROUNDING) else better
    _use(page, document, label="So far" if document.get("one_sided") else better)
    _notes(page, document)
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


def _batch(document: Document, value: float | int) -> str:
    return shown.tokens(value, _seq_len(document))


def _seq_len(document: Document) -> float | int | None:
    suggestion = document.get("suggestion") or {}
    return suggestion.get("seq_len")


def _use(page: _Page, document: Document, label: str = "Use") -> None:
    """The setting to type."""
    use = document.get("suggestion")
    if not use:
        return
    parts = [f"lr {shown.lr(use['lr'])}"]
    if use.get("batch") is not None:
        parts.append(f"batch {_batch(document, use['batch'])}")
        parts.append(shown.steps(use["steps"]))
    page.say(label, ", ".join(parts), "bold")
    lost, limits = use.get("regret") or 0.0, document.get("limits") or {}
    if limits and lost > _ROUNDING:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in limits)
        page.say("", f"loses {shown.percent(lost)} against what {names} keeps out")


def _exact(page: _Page, document: Document) -> None:
    """The optimum itself with its intervals."""
    parts = []
    for name, form in (("lr", lambda v: shown.lr(v, 3)), ("batch", shown.count)):
        value = document.get(name)
        if value is None:
            continue
        low, high = (document.get("interval") or {}).get(name) or (None, None)
        known = ""
        side = (document.get("one_sided") or {}).get(name)
        if side and (low is not None or high is not None):
            than = side["than"] if side["than"] is not None else side["at"]
            known = f" (the best lies {side['side']} {form(than)})"
        elif low is not None or high is not None:
            known = f" ({shown.span(low, high, form)})"
        is_held = name == "batch" and not known
        parts.append(f"{'at ' if is_held else ''}{name} {form(value)}{known}")
    level = (document.get("interval") or {}).get("level") or 0.95
    said = ", ".join(parts)
    if document.get("one_sided"):
        page.say("So far", said)
        return
    page.say("Exactly", f"{said}, {100 * level:.0f} %" if "(" in said else said)


def _scanned(page: _Page, document: Document) -> None:
    scan = document.get("scan")
    if scan:
        held = ", ".join(
            f"{k} {form(scan[k])}"
            for k, form in (("steps", common.count), ("flops", shown.power))
            if k in scan
        )
        page.say("Scanned", f"{scan['over']}, at {held}")


def _as_good(page: _Page, document: Document) -> None:
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
    any_lr = f"any lr {_span(lr, shown.lr)}"
    if batch[0] is not None and batch[0] == batch[1]:
        page.say("As good", f"{any_lr} at batch {shown.count(batch[0])}")
    elif batch == [None, None] and not _has_batch(document):
        page.say("As good", any_lr)
    else:
        page.say("As good", f"{any_lr} with any batch {_span(batch, shown.count)}")
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
        return f"lr {_span(lr, shown.lr)}"
    return f"lr {_span(lr, shown.lr)} with batch {_span(batch, shown.count)}"


def _span(ends: Sequence[float | int | None], form: Callable[[float], str]) -> str:
    low, high = ends[0], ends[1]
    if low is not None and high is not None and form(low) == form(high):
        return form(low)
    return shown.span(ends[0], ends[1], form)


def _has_batch(document: Document) -> bool:
    return (document.get("suggestion") or {}).get("batch") is not None


def _other(page: _Page, document: Document) -> None:
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


def _largest(page: _Page, document: Document, batch: list[float | None]) -> None:
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


def _asked_slices(page: _Page, document: Document) -> None:
    """What was asked with --batch or --lr."""
    sides = document.get("one_sided") or {}
    at, box = document.get("lr_at_batch"), _box(document)
    is_said = box is not None and at and box["batch"] == [at["batch"], at["batch"]]
    if at and not is_said and "lr" not in sides:
        page.say(
            "Then",
            f"at batch {_batch(document, at['batch'])}: {_ends(at, 'lr', shown.lr)}",
        )
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


def _cost(page: _Page, document: Document) -> None:
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


def _fixes(document: Document) -> list[tuple[str, str]]:
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


def _refused(page: _Page, document: Document) -> None:
    """Why there is no answer, and what can be had instead."""
    status = document.get("status")
    said = Status(status).sentence if status else "unknown"
    page.say("Refused", said, "bold")
    offer = document.get("offer")
    if offer and offer.get("lr") is not None:
        page.say(
            "Instead",
            f"lr {shown.lr(offer['lr'], 3)} at batch "
            f"{_batch(document, offer['batch'])}",
        )


def _notes(page: _Page, document: Document) -> None:
    """Trust, divergence, the recipe."""
    page.say("", "")
    status = document.get("status")
    if status not in (None, Status.ok):
        sides = document.get("one_sided") or {}
        said = Status(status).sentence
        if status == Status.at_bound and sides:
            said = " ".join(_side(name, side) for name, side in sides.items())
        page.say("!", said, "yellow")
    trust = document.get("trust") or {}
    word = str(trust.get("level"))
    reasons = [r for r in trust.get("reasons") or () if "known to a factor" not in r]
    if word == "too_uncertain":
        reasons = list(trust.get("reasons") or ())
    said = _WORDS.get(word, word)
    if word == "inside" and reasons:
        said = f"Counts as inside the data, though {'; '.join(reasons)}."
    else:
        said += f": {'; '.join(reasons)}." if reasons else "."
    held = document.get("held_out")
    if held and word in ("inside", "near"):
        said += f" On sizes left out its choices lost {shown.percent(held['mean'])}."
    best = document.get("best_interval") or {}
    is_told = "certificate" in document
    parts = [
        f"{name} {_span(best[name], form)}"
        for name, form in (("lr", shown.lr), ("batch", shown.count))
        if best.get(name) and None not in best[name] and not is_told
    ]
    if parts:
        said += f" Best {', '.join(parts)} (95 %)."
    style = "" if word == "inside" else "yellow"
    page.say(_MARKS.get(word, "!"), said, style)
    level = trust.get("loss_level")
    if level not in (word, None) and document.get("loss") is not None:
        said = f"The level of the loss itself: {_WORDS[level].lower()}."
        page.say(_MARKS[level], said, "" if level == "inside" else "yellow")
    _diverges(page, document)
    page.say(".", sentence(document.get("about") or {}), "dim")


def _side(name: str, side: Document) -> str:
    """Where the best lies that no run tells."""
    form = shown.lr if name == "lr" else shown.tokens
    over = "Over" if side["side"] == "above" else "Under"
    than, tried = side["than"], "nothing was tried"
    if side.get("capped"):
        tried = "runs diverged"
    said = f"{over} {name} {form(side['at'])} {tried}"
    if than is None:
        return f"{said}: the best may lie there."
    if not side["is_sure"]:
        return f"{said}; the best may lie there, surely {side['side']} {form(than)}."
    return f"{said}: the best lies {side['side']} {form(than)}."


def _diverges(page: _Page, document: Document) -> None:
    risk = document.get("stability")
    if not risk or risk.get("probability") is None:
        page.say(".", "Whether it diverges is not known: too few runs tell.")
        return
    octaves, limit = risk.get("octaves_to_edge"), risk.get("p_max") or 0.05
    if risk["probability"] > limit:
        said = f"Likely to diverge: probability {risk['probability']:.2g}"
        if octaves is not None:
            said += f", {_doublings(abs(octaves))} of lr beyond the edge"
        page.say("!", f"{said}.", "red")
    elif octaves is not None:
        times = _doublings(octaves) if octaves >= 0.95 else f"{2**octaves:.2g} times"
        how = "unlikely" if octaves >= 1 else "near"
        page.say(".", f"Divergence {how}: {times} of lr below the edge.")
    for name in risk.get("cuts") or ():
        page.say("!", f"The plateau ends at {name} where training diverges.", "yellow")


def _doublings(octaves: float) -> str:
    said = f"{octaves:.2g}"
    return f"{said} doubling{'' if said == '1' else 's'}"


def _more(page: _Page, document: Document, asked: Asked) -> None:
    """The next commands, ready to paste."""
    has_ladder = document.get("ladder") and "tol" in document
    page.say("", "")
    more = f"More: --all, {'--ladder, ' if has_ladder else ''}--json"
    use = document.get("suggestion")
    if not use or use.get("batch") is None:
        page.say("command", more, "dim")
        return
    lr, batch = shown.lr(use["lr"] / 2, 1), shown.typed_tokens(use["batch"])
    if any(said.startswith("All fitted runs have lr ") for said in _warned(document)):
        # Of another lr nothing is told.
        lr, batch = shown.lr(use["lr"], 3), shown.typed_tokens(use["batch"] / 2)
    place = asked
    if document.get("scan"):
        sizes = (f"--{n} {common.count(document[n])}" for n in ("params", "tokens"))
        place = Asked(asked.fit, tuple(" ".join(sizes).split()))
    command = place.command("regret", "--lr", lr, "--batch", batch)
    page.say("command", f"{more}. Your own setting:", "dim")
    page.say("command", f"  {command}", "dim")


def _warned(document: Document) -> Sequence[str]:
    return document.get("warnings") or ()


def _ladder(document: Document) -> RenderableType:
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
