"""How far to trust an answer, why it was refused, what to ask next."""

from __future__ import annotations

from collections.abc import Sequence

from surrogate.base import shown
from surrogate.base.about import sentence
from surrogate.base.errors import Status
from surrogate.cli.text import common
from surrogate.cli.text.as_good import span
from surrogate.cli.text.common import Document
from surrogate.cli.text.page import Asked, Page
from surrogate.cli.text.setting import batch_text

# A note's mark, by how much it is a warning.
_MARKS = {"inside": ".", "near": "!", "far": "!", "too_uncertain": "!"}
_WORDS = {
    "inside": "Inside the data",
    "near": "Near the edge of the data",
    "far": "Far outside the data, a starting point only",
    "too_uncertain": "Too uncertain to rely on",
}


def refused(page: Page, document: Document) -> None:
    """Why there is no answer, and what can be had instead."""
    status = document.get("status")
    said = Status(status).sentence if status else "unknown"
    page.say("Refused", said, "bold")
    offer = document.get("offer")
    if offer and offer.get("lr") is not None:
        page.say(
            "Instead",
            f"lr {shown.lr(offer['lr'], 3)} at batch "
            f"{batch_text(document, offer['batch'])}",
        )


def notes(page: Page, document: Document) -> None:
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
        f"{name} {span(best[name], form)}"
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


def _diverges(page: Page, document: Document) -> None:
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


def more(page: Page, document: Document, asked: Asked) -> None:
    """The next commands, ready to paste."""
    has_ladder = document.get("ladder") and "tol" in document
    page.say("", "")
    further = f"More: --all, {'--ladder, ' if has_ladder else ''}--json"
    use = document.get("suggestion")
    if not use or use.get("batch") is None:
        page.say("command", further, "dim")
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
    page.say("command", f"{further}. Your own setting:", "dim")
    page.say("command", f"  {command}", "dim")


def _warned(document: Document) -> Sequence[str]:
    return document.get("warnings") or ()
