"""Write docs/models.md from the table of public models: python scripts/models_page.py.

Prints the page; `--write` writes it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from surrogate.base import shown
from surrogate.laws.public_models import MODELS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "models.md"
HEAD = """# Public models

What `--model NAME` fills in, and what `surrogate models [FIT]` lists. Every number is
from the source in the last column, as it was found in a public copy; what no source
says is empty, and no number is a guess. `params` counts embeddings; a fit that counts
none gets the second number, or the first less the embeddings where vocabulary and width
are known, or the first. Written by `python scripts/models_page.py --write`.

| model | params | without embeddings | tokens | lr | batch [tokens] | source |
|---|---|---|---|---|---|---|
"""


def page() -> str:
    """The page as text."""
    lines = []
    for each in MODELS:
        cells = (
            each.name,
            f"{each.total:,.0f}",
            "" if each.non_embedding is None else f"{each.non_embedding:,.0f}",
            f"{each.tokens:,.0f}",
            "" if each.lr is None else shown.lr(each.lr),
            "" if each.batch is None else f"{each.batch:,.0f}",
            each.source,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page())
    else:
        print(page(), end="")
