"""Pictures of whole pages against ones that were looked at, small and blurred.

They tell a layer, a panel or a colour that went missing; where other fonts are, letters
differ and nothing is told. A change that is meant: look at the new ones, which
`SURROGATE_GOLDEN=write` leaves in place of the old.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from support import fit as fit_support
from support.browser import MARKS, Tab, browser

from surrogate import Fit, Runs, fit, load, read_runs
from surrogate.views.explorer import write

pytestmark = MARKS
__all__ = ["browser"]

FOLDER = Path(__file__).with_name("golden")
SIZE, STORED, COARSE = (1280, 1200), (320, 300), (64, 60)
# Of 255: of a page on the average, and of its worst block of 20 x 20 points. Without
# the robust region they are 0.2 and 21, without the plateau 0.1 and 37, in a serif font
# 9 and 129.
MEAN, WORST = 1.0, 20.0
# Of letters in the page's font, by which fonts are known [points].
WIDTH = """() => {
  const text = document.createElement("span");
  text.textContent = "Learning rate 0123456789";
  text.style.cssText = "position: absolute; visibility: hidden; white-space: pre";
  document.body.append(text);
  const { width } = text.getBoundingClientRect();
  text.remove();
  return width;
}"""


def dense(_: Path) -> Fit:
    return load("bundled:steplaw-dense")


def moe(_: Path) -> Fit:
    return load("bundled:steplaw-moe")


def sixty(_: Path) -> Fit:
    """Sixty runs of a known bowl, with noise."""
    table = fit_support.table()
    count = len(table["lr"])
    rows = np.sort(np.random.default_rng(0).choice(count, min(60, count), False))
    columns = {name: values[rows] for name, values in table.items()}
    noise = 0.001 * np.random.default_rng(1).normal(size=len(rows))
    columns["loss"] = columns["loss"] * np.exp(noise)
    return fit(Runs.from_arrays(**columns), family="quadratic", bootstrap=100)


def one_batch(_: Path) -> Fit:
    return fit_support.lr_alone()


def marin(data: Path) -> Fit:
    runs = read_runs(data / "marin" / "marin_optimizer_sweep_upto_300m.csv")
    return fit(runs, family="quadratic", bootstrap=20)


PAGES: dict[str, tuple[Callable[[Path], Fit], str]] = {
    "dense-1b-20b": (dense, "#n=1e9&d=2e10"),
    "dense-7b-2t": (dense, "#n=7e9&d=2e12"),
    "moe": (moe, ""),
    "sixty-runs": (sixty, ""),
    "one-batch": (one_batch, ""),
    "marin": (marin, ""),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_looks_as_it_did(
    browser: Any, tmp_path: Path, request: pytest.FixtureRequest, name: str
) -> None:
    make, hash = PAGES[name]
    data = request.getfixturevalue("data_dir") if make is marin else tmp_path
    file = tmp_path / "page.html"
    write(make(data), file, name=name)
    viewport = {"width": SIZE[0], "height": SIZE[1]}
    tab = Tab(browser, file, hash, viewport=viewport)
    width = tab.page.evaluate(WIDTH)
    taken = Image.open(io.BytesIO(tab.page.screenshot())).convert("RGB")
    tab.close()
    stored = FOLDER / f"{name}.png"
    if os.environ.get("SURROGATE_GOLDEN") == "write":
        small = taken.resize(STORED, Image.Resampling.BOX)
        known = PngImagePlugin.PngInfo()
        known.add_text("width", str(width))
        small.save(stored, optimize=True, pnginfo=known)
    if abs(float(Image.open(stored).info["width"]) - width) > 1:
        pytest.skip("the page's fonts are not those of the pictures")
    off = np.abs(coarse(taken) - coarse(Image.open(stored).convert("RGB"))).mean(axis=2)
    assert off.mean() < MEAN, f"{name}: look at it; {off.mean():.1f} off on average"
    assert off.max() < WORST, f"{name}: {off.max():.0f} off at {off.argmax()}"


def coarse(picture: Image.Image) -> np.ndarray:
    """Averages of blocks of 20 x 20 points, 0 to 255."""
    small = picture.resize(STORED, Image.Resampling.BOX)
    return np.asarray(small.resize(COARSE, Image.Resampling.BOX), dtype=float)
