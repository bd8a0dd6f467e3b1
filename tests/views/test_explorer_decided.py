"""What the page decides, under node: the numbers of the command, from the same fit."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from support import fit as fit_support
from support import report as report_support

from surrogate.answers import Fit
from surrogate.base.errors import DataError
from surrogate.views.explorer import squeeze

pytestmark = pytest.mark.skipif(report_support.NODE is None, reason="node is missing")
# Both stop at rounding.
NEAR = 1e-9

DECIDED = """
  const model = prepare(given.document);
  return given.asked.map((state) => {
    const told = toldOf(model, { ...firstState(model), ...state }, null);
    const { answer } = told, more = refinedOf(model, told.state, {});
    const full = withRefined(told, more);
    return {
      suggestion: more.decision.suggestion, inner: more.decision.inner,
      robust: more.decision.robust, price: more.decision.price,
      ladder: more.decision.ladder, trust: more.decision.trust, cost: more.cost,
      regret: answer.choice && answer.choice.regret, sure: more.regret,
      inside: answer.choice && answer.choice.isInside,
      kept: more.kept && more.kept.suggestion,
      alone: answer.choice && Object.fromEntries(["lr", "batch"].map((name) =>
        [name, aloneOf(model, answer, name)])),
      said: sentenceText(model, full.state, full),
    };
  });
"""


def questions(fitted: Fit, count: int) -> list[dict[str, Any]]:
    """Sizes in and beyond the data, each with a choice in and beyond the box."""
    rng = np.random.default_rng(7)
    asked = report_support.questions(fitted, count, seed=11)
    for k, each in enumerate(asked):
        for name in ("lr", "batch"):
            low, high = fitted.features.fitted[name]
            wide = 8.0 if k % 4 == 3 else 1.5
            ends = np.log([low / wide, high * wide])
            each[name] = float(np.exp(rng.uniform(*ends)))
    return asked


def decided(fitted: Fit, asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    given = {"document": report_support.document(fitted), "asked": asked}
    return report_support.run_core(DECIDED, given)


def where(question: dict[str, Any]) -> dict[str, Any]:
    return {k: question[k] for k in ("params", "tokens", "scales", "recipe")}


@cache
def pages() -> tuple[Fit, list[dict[str, Any]], list[dict[str, Any]]]:
    """The bundled fit, what is asked, what its page decides."""
    fitted = fit_support.bundled()
    asked = questions(fitted, 8)
    asked[0] |= {"params": 7e9, "tokens": 2e12, "lr": 3e-4, "batch": 2.0**22}
    asked[1] |= {"params": 1e9, "tokens": 2e10, "lr": 1.84e-3, "batch": 179_096.0}
    return fitted, asked, decided(fitted, asked)


@cache
def plateau(k: int) -> Any:
    """The command's answer to question k of `pages`."""
    fitted, asked, _ = pages()
    return fitted.plateau(**where(asked[k]))


def same(found: Any, expected: Any, rel: float = NEAR, abs: float = 1e-13) -> None:
    if expected is None:
        assert found is None
    else:
        assert found == pytest.approx(expected, rel=rel, abs=abs)


def test_suggestion_box_and_ladder_are_those_of_the_command() -> None:
    for k, page in enumerate(pages()[2]):
        document = plateau(k).decision.to_json()
        use = document["suggestion"]
        for name in ("lr", "batch"):
            same(page["suggestion"][name], use[name], 0)
            for found, end in zip(
                page["inner"][name], document["inner"][name], strict=True
            ):
                same(found, end)
        same(page["suggestion"]["regret"], use["regret"], abs=1e-12)
        same(page["suggestion"]["upper"], use["regret_upper"], 1e-7)
        same(page["price"]["share"], document["price"]["tokens_share"])
        rungs = document["ladder"]
        assert len(page["ladder"]) == len(rungs)
        for found, rung in zip(page["ladder"], rungs, strict=True):
            for key in ("batch", "lr", "loss", "steps"):
                same(found[key], rung[key])
            same(found["regret"], rung["regret"], abs=1e-12)
            same(found["share"], rung["tokens_share"], 1e-6, abs=1e-11)


def test_trust_is_in_the_words_of_the_command() -> None:
    seen = set()
    for k, page in enumerate(pages()[2]):
        trust = plateau(k).decision.trust
        assert page["trust"]["level"] == trust.level
        assert page["trust"]["ofLoss"] == trust.loss_level
        assert tuple(page["trust"]["reasons"]) == trust.reasons
        seen.add(trust.level)
    assert len(seen) > 1


def test_a_choice_costs_what_the_command_says() -> None:
    fitted, asked, told = pages()
    for question, page in zip(asked, told, strict=True):
        lost = fitted.regret(
            **where(question), lr=question["lr"], batch=question["batch"]
        )
        price = lost.decision.price
        same(page["regret"], lost.regret, abs=1e-12)
        assert page["inside"] == lost.is_inside
        same(page["sure"]["upper"], lost.upper, 1e-7)
        same(page["sure"]["probability"], lost.probability_inside)
        same(page["cost"]["share"], None if math.isnan(price.share) else price.share)
        if not math.isnan(price.upper):
            same(page["cost"]["upper"], price.upper, 1e-6)
        assert page["cost"]["reason"] == price.reason
        for name in ("lr", "batch"):
            change = lost.change[name]
            assert change is not None
            found = page["alone"][name]
            same(found["best"], change["best"])
            same(found["regret"], change["regret"], abs=1e-12)
            nearest = change["within_tol"]
            same(found["within"], None if math.isnan(nearest) else nearest)


def test_the_robust_box_is_as_large_as_the_commands_and_as_sure() -> None:
    """Both search: where grids tie they may end in boxes of other draws."""
    fitted, asked, told = pages()
    for k, (question, page) in enumerate(zip(asked[:5], told, strict=False)):
        robust = plateau(k).decision.inner_robust
        assert (page["robust"] is None) == (robust is None)
        if robust is None:
            continue
        ours = [page["robust"][name] for name in ("lr", "batch")]
        theirs = [robust.lr, robust.batch]
        if any(end is None for pair in (*ours, *theirs) for end in pair):
            continue
        areas = [np.prod([np.log2(b / a) for a, b in box]) for box in (ours, theirs)]
        assert areas[0] == pytest.approx(areas[1], rel=0.06)
        for lr in ours[0]:
            for batch in ours[1]:
                lost = fitted.regret(**where(question), lr=lr, batch=batch)
                assert lost.probability_inside >= 0.9 - 1e-9


def test_a_kept_batch_has_the_lr_of_the_command() -> None:
    fitted, asked, _ = pages()
    kept = [q | {"keep": {"name": "batch", "value": 2.0**20}} for q in asked[:2]]
    for question, page in zip(kept, decided(fitted, kept), strict=True):
        best = fitted.optimum(**where(question), batch=2.0**20)
        use = best.decision.suggestion
        assert use is not None
        assert page["kept"]["lr"] == use.lr
        assert page["kept"]["batch"] == 2.0**20


def test_the_sentence_says_what_to_use_what_yours_costs_and_how_far_to_trust() -> None:
    said = pages()[2][0]["said"]
    assert said.startswith("For a 7B model on 2T tokens use lr 6.4e-4, batch 3Mi = 1")
    assert "within 0.25 % of the best loss in 90 % of refits" in said
    assert "Yours: lr 3e-4 at batch 4Mi loses 0.26 % of the loss" in said
    assert "11 % of the tokens" in said
    assert "Too uncertain to rely on: 7B is 6.5 times the largest model" in said


def test_few_cells_one_setting_and_recipes_decide_as_the_command_does() -> None:
    fits = [fit_support.quadratic(), fit_support.rich(), fit_support.lr_alone()]
    for fitted in fits:
        asked = questions(fitted, 2)
        for question, page in zip(asked, decided(fitted, asked), strict=True):
            decision = fitted.plateau(**where(question)).decision
            assert page["trust"]["level"] == decision.trust.level
            assert tuple(page["trust"]["reasons"]) == decision.trust.reasons
            assert (page["suggestion"] is None) == (decision.suggestion is None)
            if decision.suggestion is not None:
                assert page["suggestion"]["lr"] == decision.suggestion.lr
                same(page["suggestion"]["batch"], decision.suggestion.batch)
            share = decision.price.share
            same(page["price"]["share"], None if math.isnan(share) else share, 1e-6)


def test_a_fit_without_slope_in_tokens_has_no_price_and_says_why() -> None:
    fitted = fit_support.bundled()
    flat = replace(fitted, leaves=fitted.theta + 60 * (fitted.leaves - fitted.theta))
    asked = questions(flat, 1)
    (page,) = decided(flat, asked)
    price = flat.plateau(**where(asked[0])).decision.price
    assert price.reason is not None
    assert page["price"]["reason"] == price.reason
    assert page["price"]["share"] is None


TYPED = {
    "count": ["7b", "7B", "1e9", "300BT", "1,000,000", "512Ki", "2^20", "x", "-3", ""],
    "tokens": ["20x", "2t", "1.4 T tokens", "20 tokens per param", "many"],
    "batch": ["4Mi", "1024x4096", "1024*4096", "4096", "512k", "256 seqs", "2x3x4"],
    "lr": ["3e-4", "3 x 10^-4", "3e4", "0,001", "1/3"],
}


def test_numbers_are_read_as_the_command_reads_them() -> None:
    from surrogate.cli import typing_numbers

    readers: dict[str, Any] = {
        "count": lambda t: typing_numbers.count(t, what="N"),
        "tokens": lambda t: typing_numbers.tokens(t, 7e9),
        "batch": typing_numbers.batch,
        "lr": typing_numbers.lr,
    }
    script = """
      const readers = { count: readCount, tokens: (t) => readTokens(t, 7e9),
        batch: readBatch, lr: readLr };
      const read = (kind) => (t) => {
        try { return readers[kind](t); } catch { return null; } };
      return Object.fromEntries(Object.entries(given).map(([kind, texts]) =>
        [kind, texts.map(read(kind))]));
    """
    found = report_support.run_core(script, TYPED)
    for kind, texts in TYPED.items():
        for text, value in zip(texts, found[kind], strict=True):
            try:
                expected = readers[kind](text)
            except DataError:
                expected = None
            assert value == expected, (kind, text)


def test_steps_go_to_the_next_number_that_is_typed() -> None:
    script = """
      return [[7e9, 1], [1e9, -1], [1.07e9, 1], [3e-4, -1]].map(([v, w]) => nextDigits(v, w))
        .concat([[4194304, 1], [4194304, -1], [5e5, 1]].map(([v, w]) => nextBatch(v, w)));
    """  # noqa: E501 - a script
    found = report_support.run_core(script, None)
    assert found == [7.1e9, 9.9e8, 1.1e9, 2.9e-4, 5242880, 3670016, 524288]


def test_a_configuration_holds_the_setting() -> None:
    script = """
      const model = prepare(given), state = { ...firstState(model), params: 7e9,
        tokens: 2e12, seq: 8192, gpus: 512 };
      const use = { lr: 8e-4, batch: 2 ** 22 };
      return [Object.keys(CONFIGS).map((kind) => configOf(model, state, use, kind)),
        timesOf(model, state, 2 ** 22)];
    """
    document = report_support.document(fit_support.bundled())
    texts, times = report_support.run_core(script, document)
    for text in texts:
        assert "8e-4" in text
        assert "476837" in text
    assert "global_batch_size = 512" in texts[0]
    assert "--total-batch-size=4194304" in texts[2]
    flops = 6 * 7e9 * 2e12 / (512 * 989e12 * 0.4)
    assert times["days"] == pytest.approx(flops / 86400, rel=1e-12)
    assert times["each"] == 1


def test_squeezing_leaves_strings_patterns_and_templates_alone() -> None:
    text = (
        "// said\nconst a = 'b // c', d = /[/ ]+ x/g;  /* e */\n  let w\n  /y/.z;\n"
        "  const f = `g  ${h ? `i  // ${j}` : ' k '} l`, m = n / o / p, q = r + +s;\n"
        "  return / t /.test(u) ? a in b : typeof c;\n"
    )
    found = squeeze.script(text)
    assert found == (
        "const a='b // c',d=/[/ ]+ x/g;let w\n/y/.z;"
        "const f=`g  ${h ? `i  // ${j}` : ' k '} l`,m=n/o/p,q=r+ +s;"
        "return/ t /.test(u)?a in b:typeof c;"
    )
