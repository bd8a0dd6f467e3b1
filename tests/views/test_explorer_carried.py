"""The page offers what the command offers, and knows what went unstable."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from support import report as report_support
from support.grids import BATCH, LR, random_design, table, with_marks

from surrogate import Fit, fit
from surrogate.answers.limits import loose, pairs
from surrogate.views.explorer import told as told_document

pytestmark = pytest.mark.skipif(report_support.NODE is None, reason="node is missing")
SCRIPT = """
  const model = prepare(given.document);
  return given.asked.map((question) => {
    const answer = answerOf(model, question), sure = fromDraws(model, answer, 0.9);
    return { status: answer.status, refused: answer.refused, distance: answer.distance ?? null,
      rows: answerRows(model, answer, sure), cautions: cautionsOf(model, answer, sure), text: answerText(model, answer, sure) };
  });
"""  # noqa: E501 - a script, as the page has it


@cache
def fits() -> dict[str, Fit]:
    """Of one size, two and three; tied tokens; runs that went unstable."""
    quick: dict[str, Any] = {"family": "quadratic", "bootstrap": 30}

    def bowl(x: Any, y: Any) -> Any:
        return 0.02 * x**2 + 0.02 * y**2

    marked = table(bowl, 0, batch=BATCH, cells=5)
    low = marked.batch == BATCH[0]
    lost = (marked.lr > LR[6] * 1.01) | (low & (marked.lr > LR[4] * 1.01))
    lost &= marked.params < 1.5e8
    return {
        "one": fit(table(bowl, 0, batch=BATCH), **quick),
        "one, lr alone": fit(table(bowl, 0), **quick),
        "two": fit(table(bowl, 0, cells=2), **quick),
        "three": fit(table(bowl, 0, cells=3), **quick),
        "tied": fit(table(bowl, 0, cells=5), **quick),
        "unstable": fit(with_marks(marked, lost), **quick),
    }


NAMES = ("one", "one, lr alone", "two", "three", "tied", "unstable")


def questions(*sizes: tuple[float, float], lr: float = 5e-4) -> list[dict[str, Any]]:
    return [
        {
            "params": params,
            "tokens": tokens,
            "scales": {},
            "recipe": "",
            "tol": 0.01,
            "lr": lr,
            "batch": BATCH[1],
            "seq": 0,
            "view": "near",
        }
        for params, tokens in sizes
    ]


def told(fitted: Fit, asked: list[dict[str, Any]]) -> list[Any]:
    given = {"document": report_support.document(fitted), "asked": asked}
    return report_support.run_core(SCRIPT, given)


FAR = [(7e9, 140e9), (1e8, 2e9), (3e8, 6e9), (1.5e8, 3e9), (4e8, 9e11), (3e9, 6e10)]


@pytest.mark.parametrize("name", NAMES)
def test_page_and_command_offer_alike(name: str) -> None:
    fitted = fits()[name]
    pages = told(fitted, questions(*FAR))
    for (params, tokens), page in zip(FAR, pages, strict=True):
        best = fitted.optimum(params=params, tokens=tokens)
        flat = fitted.plateau(params=params, tokens=tokens, tol=0.01)
        assert (page["refused"] == "") == (str(best.status) != "not_identifiable")
        if not page["refused"]:
            assert page["distance"] == pytest.approx(best.context.distance, rel=1e-6)
            assert best.transfer is None
            continue
        assert page["cautions"] == list(flat.context.warnings[: len(page["cautions"])])
        assert page["refused"] == best.context.warnings[0]
        assert best.transfer is not None
        rows = dict(page["rows"])
        assert rows["published offer"].endswith("step-law's exponents, not these runs'")
        wanted = f"--params {params:.0f} --tokens {tokens:.0f} --transfer step-law"
        assert rows["to take it"] == f"surrogate optimum FIT {wanted}"
        assert rows["to take it"] in page["text"]
        low, high = best.transfer.lr_range
        assert rows[f"lr, {len(best.transfer.laws)} laws"] == f"{low:.2e} to {high:.2e}"


def test_a_slip_is_offered_nothing() -> None:
    (page,) = told(fits()["one"], questions((7.0, 2e9)))
    assert "did you mean" in page["refused"]
    assert page["rows"] == [["status", "not_identifiable"]]


def test_page_and_command_know_what_went_unstable() -> None:
    fitted = fits()["unstable"]
    sizes = [(1e8, 2e9), (2e8, 4e9), (1e9, 2e10)]
    for lr in (3e-4, float(LR[7]), 5e-3):
        for (params, tokens), page in zip(
            sizes, told(fitted, questions(*sizes, lr=lr)), strict=True
        ):
            where: dict[str, Any] = {"params": params, "tokens": tokens}
            flat = fitted.plateau(**where, tol=0.01)
            lost = fitted.regret(**where, lr=lr, batch=BATCH[1], tol=0.01)
            said = {
                text
                for answer in (flat, lost)
                for text in answer.context.warnings
                if "went unstable" in text
            }
            found = {t for t in page["cautions"] if "went unstable" in t}
            assert found == said
            quoted = flat.context.unstable is not None
            risk = dict(page["rows"])["divergence"]
            assert ("the lowest lr that went unstable near by" in risk) == quoted


def test_losses_are_in_the_unit_of_the_fit() -> None:
    bits = replace(fits()["one"], loss_unit="bits_per_byte")
    (page,) = told(bits, questions((1e8, 2e9)))
    assert "bits per byte" in dict(page["rows"])["loss there"]
    assert "nats per token" not in page["text"]
    (page,) = told(fits()["one"], questions((1e8, 2e9)))
    assert "nats per token" in dict(page["rows"])["loss there"]


def test_no_two_ticks_of_an_axis_read_alike() -> None:
    chart = "\n".join(part for part in (report_support.page.joined(("chart.js",)),))
    script = f"""
      {chart}
      const spans = [[1e-4, 1e-2], [5.1e-4, 5.4e-4], [5.1e-4, 5.1001e-4], [3e-4, 8e-4], [2e5, 2.1e5], [2e5, 9e6]];
      return spans.map(([lo, hi]) => [decadeTicks(lo, hi, (v) => v.toExponential(0)), decadeTicks(lo, hi, formatCount), octaveTicks(lo, hi, 1, 6),
        linearTicks(lo, hi, (v, step) => v.toFixed(Math.max(0, Math.min(9, -Math.floor(Math.log10(step) + 1e-9)))))].map((ticks) => ticks.map((t) => t.text)));
    """  # noqa: E501 - as above
    found = report_support.run_core(script, {})
    for axes in found:
        for ticks in axes:
            assert ticks
            assert len(set(ticks)) == len(ticks)
    # Within a tenth: both ends, with a digit more.
    assert found[1][0] == ["5.1e-4", "5.4e-4"]


@pytest.mark.parametrize(("rule", "value"), [("FACTOR", 1.01), ("APART", -1.0)])
def test_page_and_command_do_not_tell_what_is_held_loosely(
    monkeypatch: pytest.MonkeyPatch, rule: str, value: float
) -> None:
    fitted = fit(random_design(), family="quadratic", bootstrap=20)
    sizes = [(2e8, 6e9), (4e8, 2e10)]
    assert all(page["refused"] == "" for page in told(fitted, questions(*sizes)))
    for module in (loose, pairs, told_document):
        if hasattr(module, rule):
            monkeypatch.setattr(module, rule, value)
    pages = told(fitted, questions(*sizes))
    for (params, tokens), page in zip(sizes, pages, strict=True):
        best = fitted.optimum(params=params, tokens=tokens)
        assert page["status"] == str(best.status) == "not_identifiable"
        assert page["refused"]
        assert best.context.warnings[0].startswith(page["refused"])


def test_a_page_without_any_best_prints_no_loss() -> None:
    """Batch is told on one side only, lr not at all: as `plateau` has it."""
    rng = np.random.default_rng(4)
    runs = table(
        lambda x, y: 0.05 * y + 0.02 * rng.normal(size=x.size),
        0,
        batch=BATCH[:2],
        cells=5,
    )
    fitted = fit(runs, family="quadratic", bootstrap=20)
    flat = fitted.plateau(params=1e8, tokens=2e9)
    assert np.isnan(flat.loss_min)
    (page,) = told(fitted, questions((1e8, 2e9)))
    rows = dict(page["rows"])
    assert page["status"] == str(flat.status) == "not_identifiable"
    assert "loss there" not in rows
    assert rows["best batch tried"] == "64Ki tokens"
    assert any("lowest batch is best in 5 of 5" in text for text in page["cautions"])
