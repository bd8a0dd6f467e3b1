"""The page says what the command says of what the runs leave open, at any question."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from support import fit as fit_support
from support import report as report_support
from support.grids import BATCH, LR, table

from surrogate import Fit, fit
from surrogate.answers import results
from surrogate.base.errors import UnlikelyError
from surrogate.data import Runs

pytestmark = pytest.mark.skipif(report_support.NODE is None, reason="node is missing")
# The page's leaves and draws are float32: seven digits of a difference.
NEAR = 1e-4
TOL = report_support.TOL
SCRIPT = """
  const model = prepare(given.document);
  return given.asked.map((question) => {
    const answer = answerOf(model, question), sure = fromDraws(model, answer, 0.9);
    const { status, refused, best, interval, plateau, edgeIntervals, sides, loss } = answer;
    return { status, refused, best, interval, plateau, edgeIntervals, loss: loss ?? null,
      open: answer.openEdges, cautions: cautionsOf(model, answer),
      sides: Object.fromEntries(Object.entries(sides).map(([n, s]) => [n, sayOf(n, s)])),
      choice: answer.choice && { regret: answer.choice.regret, isInside: answer.choice.isInside, refused: answer.choice.refused },
      robust: sure && sure.robust && sure.robust.natural,
      most: sure && sure.robust && sure.robust.most, upper: sure && sure.regret && sure.regret.upper,
      rows: answerRows(model, answer, sure), text: answerText(model, answer, sure) };
  });
"""  # noqa: E501 - a script, as the page has it


@cache
def fits() -> dict[str, Fit]:
    """Of every kind of thing that runs can leave open."""
    quick: dict[str, Any] = {"family": "quadratic", "bootstrap": 40}
    top, low = np.log(LR[4] / 4e-4) + 1, np.log(LR[4] / 4e-4) - 1
    grid = table(lambda x, y: 0.02 * x**2 + 0.01 * y**2, 0, batch=BATCH, cells=6)
    found = {
        "best above all": fit(
            table(lambda x, y: 0.03 * (x - top) ** 2, 0, lr=LR[:5], cells=6), **quick
        ),
        "best below all": fit(
            table(
                lambda x, y: 0.03 * (x - low) ** 2 + 0.02 * y**2,
                0,
                lr=LR[4:],
                batch=BATCH,
                cells=6,
            ),
            **quick,
        ),
        "two batches": fit(
            table(lambda x, y: 0.02 * x**2 + 0.05 * y, 0, batch=BATCH[:2], cells=5),
            **quick,
        ),
        "no best batch": fit(
            table(lambda x, y: 0.02 * x**2 - 0.03 * y**2, 0, batch=BATCH, cells=5),
            **quick,
        ),
        "no best lr": fit(table(lambda x, y: 0.0 * x, 3), **quick),
        "one cell": fit(table(lambda x, y: 0.02 * x**2, 0), **quick),
        "all told": fit(grid, **quick),
        "moving away": fit(_moving(), **quick),
    }
    told = found["all told"]
    lr = replace(told.evidence["lr"], is_curved=False, is_high=True, above=LR[-2])
    found["highest is best"] = replace(told, evidence=told.evidence | {"lr": lr})
    # Tried from just below the best: the interval reaches farther down.
    near = {"lr": (-1e-4, 2.0), "batch": (-1e-4, 2.0)}
    cells = tuple(replace(cell, around=near) for cell in told.cells)
    found["interval beyond"] = replace(told, cells=cells)
    return found | {"batch not fitted": fit_support.lr_alone()}


def _moving() -> Runs:
    """The best batch grows with the size and leaves what was tried."""
    rng = np.random.default_rng(1)
    cells = [(1e8 * 2.0**k, 4e9 * 2.0 ** (k % 3), k) for k in range(6)]
    rows = [
        (lr, batch, n, d, 0.02 * np.log(lr / 4e-4) ** 2, np.log(batch / 131072), k)
        for n, d, k in cells
        for lr in LR[::2]
        for batch in (*BATCH, 524288.0)
    ]
    lr, batch, n, d, bowl, y, k = np.array(rows).T
    loss = 1.1 - 0.05 * k + bowl + 0.02 * (y - 0.6 * k + 1) ** 2
    loss += 5e-4 * rng.normal(size=len(loss))
    return Runs.from_arrays(lr=lr, batch=batch, params=n, tokens=d, loss=np.exp(loss))


def questions(fitted: Fit) -> list[dict[str, Any]]:
    """Within the fitted sizes, at cells, far beyond, tiny, and beyond what was held."""
    params, tokens = (fitted.features.fitted[n] for n in ("params", "tokens"))
    sizes = [(c.params, c.tokens) for c in fitted.cells[:4]]
    sizes += [(p, t) for p in params for t in tokens]
    sizes += [(params[0] / 5000, tokens[0]), (params[1], tokens[0] / 5000)]
    sizes += [(params[1] * 64, tokens[1] * 64), (params[0] * 1.05, tokens[0] * 1.05)]
    lr, batch = (fitted.features.fitted[n] for n in ("lr", "batch"))
    choices = [(lr[0] * 1.5, batch[0]), (lr[1] * 2, batch[1]), (lr[1] * 9, batch[1])]
    return [
        {
            "params": p,
            "tokens": t,
            "scales": {},
            "recipe": fitted.recipes[-1],
            "tol": TOL,
            "lr": choices[k % 3][0],
            "batch": choices[k % 3][1],
            "seq": 0,
            "view": "near",
        }
        for k, (p, t) in enumerate(sizes)
    ]


@pytest.fixture(params=list(fits_names := (
    "best above all", "best below all", "two batches", "no best batch", "no best lr",
    "one cell", "all told", "moving away", "highest is best",
    "interval beyond", "batch not fitted",
)), scope="module")  # fmt: skip
def pair(request: pytest.FixtureRequest) -> tuple[Fit, list[Any], list[Any]]:
    """A fit, what is asked, what the page says."""
    fitted = fits()[request.param]
    asked = questions(fitted)
    given = {"document": report_support.document(fitted), "asked": asked}
    return fitted, asked, report_support.run_core(SCRIPT, given)


def test_every_kind_is_there() -> None:
    assert set(fits()) == set(fits_names)
    side = {n: f.evidence.get("lr") for n, f in fits().items()}
    assert side["moving away"] is not None
    assert side["moving away"].is_curved
    # 9 runs and 3 parameters: of its residuals 6, and at most 3 times as many.
    freedom = fits()["one cell"].freedom
    assert freedom is not None
    assert 6 <= freedom <= 18


def where(question: dict[str, Any]) -> dict[str, Any]:
    return {k: question[k] for k in ("params", "tokens", "recipe")}


def same(found: Any, expected: Any, rel: float = NEAR) -> None:
    """Numbers near each other, unknown ones unknown on both sides."""
    if expected is None or (not isinstance(expected, list) and found is None):
        assert found is None
        assert expected is None
    elif isinstance(expected, list):
        for one, other in zip(found, expected, strict=True):
            same(one, other, rel)
    else:
        assert found == pytest.approx(expected, rel=rel)


def test_page_and_command_answer_alike(pair: Any) -> None:
    fitted, asked, told = pair
    for question, page in zip(asked, told, strict=True):
        try:
            flat = fitted.plateau(**where(question), tol=TOL)
            best = fitted.optimum(**where(question))
        except UnlikelyError as error:
            assert page["refused"] == error.said  # noqa: PT017 - as it is caught
            assert page["best"] == {}
            continue
        document = flat.to_json()
        assert page["status"] == str(flat.status)
        untold = all(document[n] is None for n in fitted.features.choices)
        if untold or not math.isfinite(flat.loss_min):
            # As `optimum` has it: of what is not told there is no number.
            assert not math.isfinite(best.loss)
            assert page["refused"] in best.context.warnings
            assert page["best"] == page["plateau"] == {}
            assert page["rows"][-1] == ["status", "not_identifiable"]
            assert (len(page["rows"]) > 1) == (best.transfer is not None)
            continue
        assert page["refused"] == ""
        same(page["loss"], flat.loss_min, 1e-9)
        told_names = [n for n in fitted.features.choices if document[n] is not None]
        for i, name in enumerate(("lr", "batch")):
            same(page["best"][name], flat.optimum[i], 1e-6)
        for name in fitted.features.choices:
            extent = document[name]
            ends = extent and [extent["low"], extent["high"]]
            same(page["plateau"][name], ends)
            edges = [flat.edge_intervals[f"{name}_{word}"] for word in ("low", "high")]
            same(page["edgeIntervals"][name], [results.pair(edge) for edge in edges])
        assert sorted(page["open"]) == sorted(flat.open_edges)
        said = [*flat.context.warnings, *best.context.warnings]
        for sentence in page["sides"].values():
            assert any(sentence in text for text in said)
            assert sentence in page["cautions"]
        assert set(page["sides"]) == set(flat.context.one_sided)
        if best.status.value != "not_identifiable":
            intervals = best.to_json()["interval"]
            for name in told_names:
                same(page["interval"][name], intervals[name])
        open_texts = {t for t in best.context.warnings if "is open" in t}
        if best.status.value != "not_identifiable":
            assert open_texts == {t for t in page["cautions"] if "is open" in t}
        for text in flat.context.warnings:
            if "do not show a best" in text:
                assert any(text.startswith(part) for part in page["cautions"])
            if "over runs" in text:
                assert text in page["cautions"]
                assert "95% interval over runs" in page["text"]


def test_robust_plateau_of_page_and_command_are_alike(pair: Any) -> None:
    fitted, asked, told = pair
    for question, page in zip(asked, told, strict=True):
        if page["refused"]:
            assert page["robust"] is None
            continue
        robust = fitted.plateau(**where(question), tol=TOL).robust
        if robust is None:
            assert page["robust"] is None
            assert not any("of draws" in what for what, _ in page["rows"])
            continue
        for i, name in enumerate(fitted.features.choices):
            ends = robust[name]
            if ends is None:
                assert page["robust"] is None or page["robust"][i] is None
                continue
            off = np.log2(page["robust"][i]) - np.log2([ends["low"], ends["high"]])
            # Each closes in on an end to 1e-3 octave.
            assert np.abs(off).max() <= 2e-3


def test_regret_of_page_and_command_are_alike(pair: Any) -> None:
    fitted, asked, told = pair
    for question, page in zip(asked, told, strict=True):
        if page["refused"]:
            continue
        chosen = {"lr": question["lr"], "batch": question["batch"]}
        lost = fitted.regret(**where(question), **chosen, tol=TOL)
        if page["choice"]["refused"]:
            assert page["choice"]["refused"] in lost.context.warnings
            assert math.isnan(lost.regret)
            continue
        assert page["choice"]["regret"] == pytest.approx(lost.regret, abs=1e-8)
        if lost.context.one_sided:
            assert page["upper"] is None
            assert math.isnan(lost.upper)
            assert page["choice"]["isInside"] == lost.is_inside
            continue
        assert page["upper"] == pytest.approx(lost.upper, rel=1e-3, abs=1e-6)


def test_a_loss_over_12_nats_is_refused_in_the_same_words() -> None:
    fitted = fits()["all told"]
    features = replace(fitted.features, level=math.log(11.0))
    hot = replace(fitted, features=features)
    asked = questions(hot)
    # Of the smallest size: the fit's own trend takes its loss over 12.
    given = {"document": report_support.document(hot), "asked": asked}
    pages = report_support.run_core(SCRIPT, given)
    refused = 0
    for question, page in zip(asked, pages, strict=True):
        try:
            flat = hot.plateau(**where(question))
        except UnlikelyError as error:
            assert page["refused"] == error.said  # noqa: PT017 - as it is caught
            refused += "nats a token" in error.said
        else:
            assert (page["refused"] == "") == math.isfinite(flat.loss_min)
    assert refused > 0


def test_a_scale_that_was_not_fitted_is_asked_within_ten_per_cent() -> None:
    """Closed form: of one size, 1.1 times it is answered and 1.11 times is not."""
    fitted = fits()["one cell"]
    size = fitted.cells[0]
    asked = [
        questions(fitted)[0] | {"params": size.params * times}
        for times in (1.0, 1.09, 1.11, 1 / 1.09, 1 / 1.11)
    ]
    given = {"document": report_support.document(fitted), "asked": asked}
    pages = report_support.run_core(SCRIPT, given)
    assert [page["refused"] == "" for page in pages] == [True, True, False, True, False]
    assert "cannot be answered. Ask at params" in pages[2]["refused"]


def test_a_field_refuses_a_size_in_the_words_of_the_command() -> None:
    fitted = fits()["all told"]
    with pytest.raises(UnlikelyError) as caught:
        fitted.optimum(params=7.0, tokens=4e9)
    script = "return refusalOf(prepare(given), 'params', 7);"
    found = report_support.run_core(script, report_support.document(fitted))
    assert found == caught.value.said


def test_what_is_carried_along_a_scale_breaks_off_where_a_side_is_open() -> None:
    """Closed form: the best batch leaves the grid at the largest sizes."""
    fitted = fits()["moving away"]
    question = questions(fitted)[0]
    sizes = [cell.params for cell in fitted.cells]
    given = {
        "document": report_support.document(fitted),
        "asked": question,
        "sizes": [*sizes, sizes[-1] * 8],
    }
    script = """
      const model = prepare(given.document);
      return optimumAlong(model, given.asked, "params", given.sizes).map((r) => r.batch.at);
    """  # noqa: E501 - as above
    found = report_support.run_core(script, given)
    for params, at in zip(given["sizes"], found, strict=True):
        flat = fitted.plateau(params=params, tokens=question["tokens"])
        assert (at is None) == ("batch" in flat.context.one_sided)
    assert any(at is None for at in found)
    assert any(at is not None for at in found)
