"""Writes docs/explorer.html: the explorer of the bundled fit steplaw-dense.

    python scripts/explorer_page.py

It holds no losses of the dump, as the fit itself holds none. The same fit and scripts
give the same bytes: tests/views/test_explorer_page.py builds it again.
"""

from __future__ import annotations

from pathlib import Path

from surrogate.answers import load
from surrogate.views.explorer import build

NAME = "steplaw-dense"
FILE = Path(__file__).resolve().parents[1] / "docs" / "explorer.html"


def page() -> str:
    """The file's text."""
    return build(load(f"bundled:{NAME}"), name=NAME).html


if __name__ == "__main__":
    FILE.write_text(page())
    print(f"{FILE}: {FILE.stat().st_size:,} bytes")
