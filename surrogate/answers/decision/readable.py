"""How an answer shows itself in a console and in a notebook."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Any

from surrogate.base import shown
from surrogate.base.about import sentence

if TYPE_CHECKING:
    from surrogate.answers.decision.document import Decision

_WORDS = {
    "inside": "inside the data",
    "near": "near the edge of the data",
    "far": "far outside the data",
    "too_uncertain": "too uncertain to rely on",
}


class Readable:
    """A short text for consoles and a table for notebooks, of an answer's decision."""

    def _own(self) -> list[tuple[str, str]]:
        """What this kind of answer says first."""
        return []

    def _facts(self) -> list[tuple[str, str]]:
        answer: Any = self
        context, decision = answer.context, answer.decision
        facts = [
            ("params", shown.count(context.params)),
            ("tokens", shown.count(context.tokens)),
            *((name, shown.count(value)) for name, value in context.scales.items()),
            *self._own(),
            *_decided(decision),
        ]
        if context.status != "ok":
            facts.append(("status", str(context.status)))
        return facts

    def __repr__(self) -> str:
        """One line a fact."""
        lines = [f"  {name}: {said}" for name, said in self._facts()]
        return "\n".join((type(self).__name__, *lines))

    def _repr_html_(self) -> str:
        """A table, for notebooks."""
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
            f"<td style='text-align:left'>{html.escape(said)}</td></tr>"
            for name, said in self._facts()
        )
        return f"<table><caption>{type(self).__name__}</caption>{rows}</table>"


def _decided(decision: Decision) -> list[tuple[str, str]]:
    facts = []
    use = decision.suggestion
    if use is not None:
        batch = ""
        if math.isfinite(use.batch):
            batch = f", batch {shown.tokens(use.batch, use.seq_len)}"
        facts.append(("use", f"lr {shown.lr(use.lr)}{batch}"))
    box = decision.inner_robust or decision.inner
    if box is not None:
        facts.append(
            (
                "as good",
                f"lr {shown.span(*box.lr, shown.lr)} with batch "
                f"{shown.span(*box.batch, shown.count)}",
            )
        )
    price = decision.price
    said = price.reason or f"{shown.percent(price.share)} of the tokens"
    facts.append((f"price of the {price.of}", said))
    reasons = "; ".join(decision.trust.reasons)
    facts.append(("trust", f"{_WORDS[decision.trust.level]} ({reasons})"))
    return [*facts, ("recipe", sentence(decision.about))]
