"""Writes docs/laws.md from the same data that `surrogate law` answers from.

Run from the project's root: `python scripts/laws_page.py`; `--check` writes nothing and
exits 1 where the page is not what it should be.
"""

from __future__ import annotations

import sys
from pathlib import Path

from surrogate.laws import LAWS, Law

PAGE = Path(__file__).resolve().parents[1] / "docs" / "laws.md"
_HEAD = """\
# Published laws of the best learning rate and batch size

Written by `python scripts/laws_page.py` from `surrogate/laws/published.py`, which
`surrogate law` and `surrogate compare` answer from; do not edit.

N is parameters, D training tokens, C training FLOPs, L the final loss in nats per
token, S the batch in sequences; learning rates are peaks and **batches are in tokens**.
What N and C count differs from law to law, and a law speaks of the optimizer and
schedule that it was fitted under. "Checked" says what we saw of each: there was no way
from here to most of the papers themselves, so that most are quoted from texts that
quote them.
"""
_COMPUTE = {
    "6N": "C = 6 N D",
    "shape": "C = M D, M = 72 layers width^2 + 12 layers width seq_len: needs the "
    "shape",
    "active": "C = M D, M = 6 active parameters + 12 layers width seq_len: needs the "
    "shape and the active parameters",
}
_EXPERTS = {
    "dense": "dense models",
    "moe": "mixtures of experts",
    "both": "dense models and mixtures of experts",
}


def page() -> str:
    """The whole page."""
    rows = ["| law | lr | batch [tokens] | |", "|---|---|---|---|"]
    rows += [_row(law) for law in LAWS]
    parts = [_HEAD, "\n".join(rows) + "\n", *map(_section, LAWS)]
    return "\n".join(parts)


def _code(formula: object) -> str:
    return "-" if formula is None else f"`{formula}`"


def _row(law: Law) -> str:
    state = "listed, not evaluated" if law.unusable else ""
    cells = (f"[{law.name}](#{law.name})", _code(law.lr), _code(law.batch), state)
    return f"| {' | '.join(cells)} |"


def _section(law: Law) -> str:
    lines = [f"## {law.name}", "", f"{_escape(law.title)}.", ""]
    items = [("lr", _code(law.lr)), ("batch", _code(law.batch))]
    items += [
        (f"source: {s.where}", f"[{_escape(s.title)}]({s.url})") for s in law.source
    ]
    items.append(("N", law.params.replace("_", "-")))
    if law.compute:
        items.append(("C", _COMPUTE[law.compute]))
    items.append(("fitted to", f"{_EXPERTS[law.experts]}; {law.setting}"))
    if law.experts == "dense" and law.counts == "active":
        items.append(("of a mixture of experts", "we take the active parameters"))
    ranges = [f"{k} {low:.3g} to {high:.3g}" for k, (low, high) in law.ranges.items()]
    items.append(("range", ", ".join(ranges) or "not known to us"))
    items += [("ends", f"{k} at {v:.3g}") for k, v in law.limits.items()]
    if law.unusable:
        items.append(("not evaluated", law.unusable))
    items.append(("checked", law.checked))
    items += [("misprint", text) for text in law.misprints]
    items += [("note", text) for text in law.notes]
    lines += [
        f"- **{name}**: {text if text[0] in '[`' else _escape(text)}"
        for name, text in items
    ]
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    """Text that Markdown shows as it is."""
    for mark in "\\*_<|":
        text = text.replace(mark, "\\" + mark)
    return text


def main(arguments: list[str]) -> int:
    """Writes the page, or checks it."""
    if arguments == ["--check"]:
        return int(not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
