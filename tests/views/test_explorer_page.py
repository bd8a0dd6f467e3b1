"""docs/explorer.html is the page that the present code makes of the bundled fit."""

from __future__ import annotations

import base64
import importlib
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]


PAGE: Any = importlib.import_module("explorer_page")


def parts(html: str) -> tuple[str, Any]:
    """The page without its document, and the document."""
    found = re.search(r'id="data">(.*?)</script>', html)
    assert found is not None
    return html.replace(found[1], ""), json.loads(found[1])


def same(one: Any, other: Any) -> bool:
    """Equal but for the rounding of another processor."""
    if isinstance(one, dict) and isinstance(other, dict):
        if list(one) != list(other):
            return False
        return all(_same_value(key, one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return bool(one == other)


def _same_value(key: str, one: Any, other: Any) -> bool:
    if key != "base64":
        return same(one, other)
    if len(one) != len(other):
        return False
    return any(
        bool(np.allclose(read(one), read(other), rtol=rtol, atol=1e-12))
        for read, rtol in ((_floats, 1e-7), (_short_floats, 1e-8))
    )


def _floats(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4")


def _short_floats(text: str) -> np.ndarray:
    """What `document.short_floats` packed."""
    packed = np.frombuffer(base64.b64decode(text), np.uint8)
    wide = np.zeros((packed.size // 6, 8), np.uint8)
    wide[:, 2:] = packed.reshape(-1, 6)
    return wide.view("<f8")


def test_the_page_in_docs_is_fresh() -> None:
    made = PAGE
    (fresh, document), (kept, known) = map(parts, (made.page(), made.FILE.read_text()))
    # Not compared by pytest, which would print both.
    assert bool(fresh == kept), "stale: run python scripts/explorer_page.py"
    assert same(document, known), "stale: run python scripts/explorer_page.py"
    assert not same(document, known | {"tol": 0.003})


def test_the_page_in_docs_holds_no_losses_and_is_small() -> None:
    text = PAGE.FILE.read_text()
    assert '"runs":null' in text.replace(" ", "")
    assert len(text.encode()) <= 300_000
