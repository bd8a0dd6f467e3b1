"""What to type: lr, batch and steps, and the best itself."""

from __future__ import annotations

from surrogate.base import shown
from surrogate.cli.text import common
from surrogate.cli.text.common import Document
from surrogate.cli.text.page import Page

# More than rounding costs.
ROUNDING = 5e-4


def batch_text(document: Document, value: float | int) -> str:
    """A batch as people write it, in sequences where their length is known."""
    return shown.tokens(value, _seq_len(document))


def _seq_len(document: Document) -> float | int | None:
    suggestion = document.get("suggestion") or {}
    return suggestion.get("seq_len")


def use(page: Page, document: Document, label: str = "Use") -> None:
    """The setting to type."""
    found = document.get("suggestion")
    if not found:
        return
    parts = [f"lr {shown.lr(found['lr'])}"]
    if found.get("batch") is not None:
        parts.append(f"batch {batch_text(document, found['batch'])}")
        parts.append(shown.steps(found["steps"]))
    page.say(label, ", ".join(parts), "bold")
    lost, limits = found.get("regret") or 0.0, document.get("limits") or {}
    if limits and lost > ROUNDING:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in limits)
        page.say("", f"loses {shown.percent(lost)} against what {names} keeps out")


def exact(page: Page, document: Document) -> None:
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


def scanned(page: Page, document: Document) -> None:
    """The sizes that were found for a budget."""
    scan = document.get("scan")
    if scan:
        held = ", ".join(
            f"{k} {form(scan[k])}"
            for k, form in (("steps", common.count), ("flops", shown.power))
            if k in scan
        )
        page.say("Scanned", f"{scan['over']}, at {held}")
