"""The explorer in Chromium: size, first contour, slider, and its answers' errors.

    python bench/page.py [--json] [--fit steplaw-dense] [--runs FILE] [--shots FOLDER]
                         [--before PAGE]

`--before` times frames in turn with the page of an older commit.

Needs the extra `browser` and a Chromium of the system (CHROMIUM=/usr/bin/chromium).
Prints a table; its last line is one JSON document. `--shots` also writes screenshots.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import numpy as np  # noqa: E402
from harness import watched  # noqa: E402
from playwright.sync_api import (  # noqa: E402  # pyright: ignore[reportMissingImports]
    Browser,
    Page,
    sync_playwright,
)

# Of the extra `browser`, and of the folder of tests: neither is there for pyright.
from support import report as report_support  # noqa: E402  # pyright: ignore[reportMissingImports]

from surrogate.answers import Fit, load  # noqa: E402
from surrogate.answers.simulate import simulate  # noqa: E402
from surrogate.data.readers import read_runs  # noqa: E402
from surrogate.views.explorer import page, write  # noqa: E402

OPENED = 5
TURNS = 3
SIZES = 1000
ROBUST = 20

# What a frame costs while one thing moves: from before the page's own frame to after
# its layout. Works on this page, and on b1a6067's, whose settings had sliders.
FRAMES = """async ([key, frames]) => {
  const bracket = document.querySelector(`input.bracket[data-key="${key}"]`);
  const slider = document.querySelector(`[data-slider="${key}"]`);
  const from = { tokens: 2e10, params: 5e8, tol: 0.25, lr: 8e-4 }[key], costs = [];
  for (let k = 0; k < frames; k++) {
    const value = from * 1.01 ** k;
    await new Promise((done) => {
      let begun = 0;
      requestAnimationFrame(() => { begun = performance.now(); });
      if (bracket) {
        bracket.value = key === "tol" ? value.toFixed(4) : value.toPrecision(4);
        bracket.dispatchEvent(new Event("input", { bubbles: true }));
      } else {
        slider.value = Math.log(key === "tol" ? value / 100 : value);
        slider.dispatchEvent(new Event("input", { bubbles: true }));
      }
      requestAnimationFrame(() => {
        document.body.getBoundingClientRect();
        costs.push(performance.now() - begun);
        done();
      });
    });
  }
  costs.sort((a, b) => a - b);
  return [costs[frames >> 1], costs[Math.floor(0.95 * frames)]];
}"""
MOVED = ("params", "tokens", "tol", "lr")

ROBUST_EDGES = """
  const model = prepare(given.document);
  return given.asked.map((question) => {
    const answer = answerOf(model, question), begun = performance.now();
    const { robust } = fromDraws(model, answer, 0.9);
    return { edges: robust.natural, ms: performance.now() - begun };
  });
"""


def main() -> None:
    """Measure, print, and leave screenshots where asked."""
    options = argparse.ArgumentParser()
    options.add_argument("--fit", default="steplaw-dense")
    options.add_argument("--runs", help="CSV; default: the embedded sweep")
    options.add_argument("--shots", type=Path)
    options.add_argument("--json", action="store_true")
    options.add_argument(
        "--before", type=Path, help="a page of an older commit: frames in turn with it"
    )
    asked = options.parse_args()
    fit = load(asked.fit)
    runs = fit.runs
    if runs is None:
        runs = read_runs(asked.runs) if asked.runs else simulate()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as engine:
        file = Path(folder) / "report.html"
        begun = time.perf_counter()
        made = write(fit, file, runs=runs, name=asked.fit)
        seconds = time.perf_counter() - begun
        browser = engine.chromium.launch(
            executable_path=report_support.CHROMIUM, args=list(report_support.FLAGS)
        )
        answer = {
            "fit": asked.fit,
            **made.counts,
            "bytes": file.stat().st_size,
            "seconds_to_write": seconds,
            "chromium": browser.version,
            **measured(browser, file),
            **against_python(browser, fit),
        }
        if asked.before:
            answer |= frames_of(browser, [file, asked.before.resolve()], [])
        if asked.shots:
            shoot(browser, file, asked.shots)
        browser.close()
    if not asked.json:
        for key, value in answer.items():
            print(f"{key:28} {value}")
    print(json.dumps(answer))


def opened(browser: Browser, file: Path, faults: list[str], **how: Any) -> Page:
    """The page after its first answer from all draws."""
    settings: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}, **how}
    tab = browser.new_page(**settings)
    tab.on("console", lambda said: faults.append(said.text))
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on(
        "request",
        # Its own worker is made in the page: no network is asked.
        lambda r: (
            None
            if r.url == f"file://{file}" or r.url.startswith("blob:null/")
            else faults.append(r.url)
        ),
    )
    tab.goto(f"file://{file}")
    tab.wait_for_selector("html[data-ready]", state="attached")
    return tab


def measured(browser: Browser, file: Path) -> dict[str, Any]:
    """From navigation to the first contour, and frames a second while dragging."""
    faults: list[str] = []
    painted, contour = [], []
    for _ in range(OPENED):
        tab = opened(browser, file, faults)
        mark = "performance.getEntriesByName('first-contour')[0]"
        contour.append(tab.evaluate(f"{mark}.duration"))
        painted.append(tab.evaluate(f"{mark}.startTime + {mark}.duration"))
        tab.close()
    return {
        "first_contour_ms": statistics.median(contour),
        "navigation_to_contour_ms": statistics.median(painted),
        **frames_of(browser, [file], faults),
        "faults": faults,
    }


def frames_of(browser: Browser, files: list[Path], faults: list[str]) -> dict[str, Any]:
    """Median and 95th percentile of a frame, ms, of each thing that moves, in turn."""
    tabs = [opened(browser, file, faults) for file in files]
    found: dict[str, Any] = {}
    for key in MOVED:
        rounds: list[list[list[float]]] = [[] for _ in tabs]
        for _ in range(TURNS):
            for tab, own in zip(tabs, rounds, strict=True):
                tab.wait_for_timeout(1500)
                own.append(tab.evaluate(FRAMES, [key, 60]))
        for k, own in enumerate(rounds):
            name = f"frame_{key}_ms" + ("_before" if k else "")
            found[name] = [statistics.median(r[i] for r in own) for i in (0, 1)]
    for tab in tabs:
        tab.close()
    return found


def against_python(browser: Browser, fit: Fit) -> dict[str, Any]:
    """Largest differences at random (N, D), of point answers and robust edges."""
    asked = report_support.questions(fit, SIZES)
    expected = report_support.python_answers(fit, asked)
    given = {"document": report_support.document(fit), "asked": asked}
    blank = browser.new_page()

    def ran(script: str, given: Any) -> Any:
        return blank.evaluate(
            f"(given) => {{ {page.joined(page.CORE)} {script} }}", given
        )

    differ = report_support.differences(ran(report_support.ANSWERS, given), expected)
    few = ran(ROBUST_EDGES, given | {"asked": asked[:ROBUST]})
    octaves = [0.0]
    for question, found in zip(asked, few, strict=False):
        where = {k: question[k] for k in ("params", "tokens", "scales", "recipe")}
        robust = fit.plateau(**where).to_json()["robust"]
        theirs = [[robust[n]["low"], robust[n]["high"]] for n in fit.features.choices]
        octaves.append(float(np.abs(np.log2(np.array(found["edges"]) / theirs)).max()))
    blank.close()
    return {
        "sizes": SIZES,
        **{f"{key}_relative": value for key, value in differ.items()},
        "robust_edges": f"{ROBUST} plateaus",
        "robust_octaves": max(octaves),
        "robust_ms": statistics.median(one["ms"] for one in few),
    }


def shoot(browser: Browser, file: Path, folder: Path) -> None:
    """Screenshots on a desk and on a phone."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, width, height, scheme in (
        ("explorer-1280.png", 1280, 800, "light"),
        ("explorer-390.png", 390, 844, "dark"),
    ):
        how = {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
        tab = opened(browser, file, [], **how)
        tab.wait_for_timeout(300)
        tab.screenshot(path=folder / name, full_page=False)
        tab.close()


if __name__ == "__main__":
    watched.run(main)
