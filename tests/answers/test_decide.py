"""The decision of an answer: suggestion, price, ladder and trust, against their words.

Fits are NumPy's: the bundled ones, a bowl of few runs, one batch.
"""

from __future__ import annotations

import json
import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from support.fit import bare, bundled, exact, lr_alone, quadratic, table

from surrogate import fit as fit_runs
from surrogate.answers import Fit, load
from surrogate.answers.decision import decide, gpus, trust, typed
from surrogate.answers.decision.document import Decision, InnerBox
from surrogate.base.errors import DataError
from surrogate.data import Runs
from surrogate.numerics.roots import first_roots

AT: dict[str, Any] = {"params": 7e9, "tokens": 2e12}


@cache
def moe() -> Fit:
    return load("bundled:steplaw-moe")


def questions(seed: int, count: int) -> list[tuple[Fit, dict[str, Any]]]:
    """At random sizes, tolerances and edges of stability."""
    rng = np.random.default_rng(seed)
    found: list[tuple[Fit, dict[str, Any]]] = []
    for k in range(count):
        size: dict[str, Any] = {
            "params": float(10 ** rng.uniform(8, 10.3)),
            "tokens": float(10 ** rng.uniform(9.5, 12.5)),
            "tol": float(10 ** rng.uniform(-3.3, -1.7)),
            # Down to where the edge takes most of the plateau.
            "p_max": float(10 ** rng.uniform(-10, -1.2)),
        }
        fit = (bundled(), moe())[k % 2]
        if fit is moe():
            size |= {"params": 2.15e9, "scales": {"active": 10 ** rng.uniform(8, 9.3)}}
        found.append((fit, size))
    return found


def inside(box: InnerBox, lr: float, batch: float) -> bool:
    return all(
        (low is None or low * (1 - 1e-9) <= value)
        and (high is None or value <= high * (1 + 1e-9))
        for (low, high), value in ((box.lr, lr), (box.batch, batch))
    )


def test_suggestions_are_inside_and_rounding_costs_little() -> None:
    """Numbers of issue 19: at most 0.04 % wherever the box is 1.6 times wide."""
    wide = 0
    for fit, size in questions(1, 14):
        answer = fit.plateau(**size)
        decision = answer.decision
        suggestion, box = decision.suggestion, decision.inner_robust or decision.inner
        assert suggestion is not None
        assert box is not None
        assert suggestion.is_inside
        assert inside(box, suggestion.lr, suggestion.batch)
        lost = fit.regret(**size, lr=suggestion.lr, batch=suggestion.batch).regret
        assert suggestion.regret == pytest.approx(lost, rel=1e-6, abs=1e-12)
        low_high = [*box.lr, *box.batch]
        if None in low_high or size["tol"] < 0.0024:
            continue
        sides = box.lr[1] / box.lr[0], box.batch[1] / box.batch[0]  # pyright: ignore
        if min(sides) > 1.6:
            wide += 1
            assert lost <= 4e-4
    assert wide >= 3


def test_corners_of_inner_boxes_lose_no_more_than_the_tolerance() -> None:
    for fit, size in questions(2, 10):
        fit = bare(fit)
        box = fit.plateau(**size).decision.inner
        assert box is not None
        for lr in box.lr:
            for batch in box.batch:
                if lr is None or batch is None:
                    continue
                found = fit.regret(**size, lr=lr, batch=batch)
                assert found.regret <= size["tol"] * (1 + 1e-6)
                assert found.is_inside or found.regret > 0.999 * size["tol"]


def bisected(fit: Fit, size: dict[str, Any], loss: float) -> float:
    """The share by its definition: halving ln tokens until the best loss is that."""
    low, high = (
        math.log(0.5 * fit.features.fitted["tokens"][0]),
        math.log(size["tokens"]),
    )
    more: dict[str, Any] = {n: value for n, value in size.items() if n != "tol"}
    # The first crossing from above; between the fitted sizes loss falls with tokens.
    for _ in range(60):
        middle = 0.5 * (low + high)
        lowest = fit.optimum(**{**more, "tokens": math.exp(middle)}).loss
        low, high = (middle, high) if lowest > loss else (low, middle)
    return 1 - math.exp(0.5 * (low + high)) / size["tokens"]


def test_price_is_what_bisection_finds() -> None:
    for fit, size in questions(3, 5):
        fit = bare(fit)
        answer = fit.plateau(**size)
        price = answer.decision.price
        if price.reason is not None:
            assert math.isnan(price.share)
            continue
        share = bisected(fit, size, answer.loss_limit)
        assert price.share == pytest.approx(share, abs=1e-9)
        assert price.tokens == pytest.approx(share * size["tokens"], rel=1e-6)
        assert price.flops == pytest.approx(6 * size["params"] * price.tokens)


def test_price_of_a_choice_is_bounded_by_its_draws() -> None:
    """Against every tenth draw asked as a fit of its own, moved as answers move it."""
    choice: dict[str, Any] = {"lr": 4e-4, "batch": 2.0**20}
    found = bundled().regret(params=1e9, tokens=2e10, **choice).decision.price
    assert found.of == "choice"
    assert found.upper > found.share > 0
    assert found.upper < 2 * found.share


def test_a_price_that_is_not_told_says_why() -> None:
    fit = bundled()
    low = fit.features.fitted["tokens"][0]
    small = fit.plateau(params=1e8, tokens=0.4 * low, allow=("small",)).decision
    assert math.isnan(small.price.share)
    assert "so few tokens" in str(small.price.reason)
    worst = fit.regret(params=1e9, tokens=5e9, lr=1e-5, batch=4e6).decision
    assert "beyond what was fitted" in str(worst.price.reason)
    tied = moe().plateau(params=2.15e9, tokens=4e10, scales={"active": 6e8})
    assert tied.decision.price.reason is None


def test_ladder_is_that_of_held_batches() -> None:
    ladder = bundled().plateau(**AT).decision.ladder
    assert ladder is not None
    batches = [rung.batch for rung in ladder]
    assert batches == [2.0**k for k in range(19, 25)]
    for rung in ladder:
        held = bundled().optimum(**AT, batch=rung.batch)
        assert rung.lr == pytest.approx(held.lr, rel=1e-6)
        assert rung.loss == pytest.approx(held.loss, rel=1e-12)
        assert rung.steps == 2e12 / rung.batch
    # The numbers of the point fit, in two digits.
    shares = {rung.batch: rung.share for rung in ladder}
    assert shares[2.0**19] == pytest.approx(0.26, abs=0.005)
    assert shares[2.0**20] == pytest.approx(0.13, abs=0.005)
    assert shares[2.0**21] == pytest.approx(0.031, abs=5e-4)
    assert shares[2.0**22] == pytest.approx(0.002, abs=5e-4)
    assert shares[2.0**23] == pytest.approx(0.066, abs=5e-4)
    assert shares[2.0**24] == pytest.approx(0.20, abs=0.006)


def test_limits_bind_suggestion_and_boxes_and_no_optimum() -> None:
    free = bundled().plateau(**AT)
    bound = bundled().plateau(**AT, lr_max=6e-4, batch_max=3e6, batch_multiple=2000.0)
    assert bound.optimum == free.optimum
    decision = bound.decision
    suggestion = decision.suggestion
    assert suggestion is not None
    assert suggestion.lr <= 6e-4
    assert suggestion.batch <= 3e6
    assert suggestion.batch % 2000 == 0
    for box in (decision.inner, decision.inner_robust):
        assert box is not None
        assert box.lr[1] == pytest.approx(6e-4, rel=1e-3)
        assert box.batch[1] == pytest.approx(3e6, rel=1e-3)
    low = bundled().plateau(**AT, lr_max=1e-4).decision
    assert low.inner is None
    assert low.suggestion is not None
    assert low.suggestion.lr <= 1e-4
    assert not low.suggestion.is_inside


@pytest.mark.parametrize(
    "limits", [{"batch_max": 65536.0}, {"lr_max": 1e-4}, {"batch_max": 2e5}]
)
def test_what_is_suggested_under_a_limit_is_the_best_that_it_allows(
    limits: dict[str, float],
) -> None:
    at: dict[str, float] = {"params": 1e9, "tokens": 2e10}
    fit = bundled()
    use = fit.plateau(**at, **limits).decision.suggestion
    assert use is not None
    lr, batch = np.meshgrid(np.geomspace(6.2e-5, 1e-2, 60), np.geomspace(1e4, 1e6, 60))
    allowed = (lr <= limits.get("lr_max", 1.0)) & (
        batch <= limits.get("batch_max", math.inf)
    )
    found = fit.predict(lr[allowed], batch[allowed], **at).loss
    least = fit.optimum(**at).loss
    # Independent search; rounding may cost half of what it may of the optimum.
    assert use.regret <= found.min() / least - 1 + 2e-4


def test_what_a_limit_costs_is_no_doubt() -> None:
    """The best of what is allowed is as sure as the best of all."""
    at: dict[str, float] = {"params": 1e9, "tokens": 2e10}
    free = bundled().plateau(**at).decision
    bound = bundled().plateau(**at, batch_max=65536.0).decision
    assert free.trust.level == bound.trust.level == "inside"
    assert bound.suggestion is not None
    assert bound.suggestion.regret > 0.01
    # Half of the smallest batch fitted.
    less = bundled().plateau(**at, batch_max=16384.0).decision
    assert less.trust.level == "near"
    assert any("1/2 of the smallest batch" in text for text in less.trust.reasons)


def test_a_limit_below_all_that_is_searched_is_refused() -> None:
    with pytest.raises(DataError, match="lr_max of at least 6"):
        bundled().plateau(**AT, lr_max=1e-5)
    with pytest.raises(DataError, match="batch up to batch_max"):
        bundled().optimum(**AT, batch=1e6, batch_max=5e5)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"lr_max": -1.0}, "lr_max to be a positive number"),
        ({"batch_max": math.nan}, "batch_max to be a positive number"),
        ({"batch_max": 1e5, "batch_multiple": 2e5}, "no batch is both"),
    ],
)
def test_limits_that_are_none_are_refused(limits: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        bundled().plateau(**AT, **limits)


def test_a_fit_without_draws_or_batch_decides_what_it_can() -> None:
    plain = exact().plateau(params=1e9, tokens=2e10).decision
    assert plain.inner is not None
    assert plain.inner_robust is None
    assert plain.suggestion is not None
    assert math.isnan(plain.suggestion.regret_upper)
    assert plain.trust.level in ("near", "far")
    alone = lr_alone()
    size: dict[str, Any] = {"params": 3e8, "tokens": 1e10, "recipe": "adamw"}
    held = alone.optimum(**size, batch=2.4e5).decision
    assert held.suggestion is not None
    assert held.suggestion.batch == 2.4e5
    assert held.ladder is None
    refused = alone.optimum(**size)
    assert refused.decision.suggestion is None
    assert refused.decision.trust.level == "too_uncertain"
    assert refused.decision.price.reason


@cache
def two_batches() -> Fit:
    """Two batches of every cell, both below the best: one side is told."""
    runs = Runs.from_arrays(**table(noise=5e-4))
    kept = np.zeros(len(runs), bool)
    for cell in np.unique(runs.cell):
        here = runs.cell == cell
        kept |= here & np.isin(runs.batch, np.unique(runs.batch[here])[:2])
    return fit_runs(
        runs.subset(kept), family="quadratic", bootstrap=20, backend="numpy"
    )


def test_one_sided_answers_stay_at_what_was_tried() -> None:
    size: dict[str, Any] = {"params": 1e9, "tokens": 2e10}
    answer = two_batches().plateau(**size)
    side = answer.context.one_sided["batch"]
    decision = answer.decision
    assert decision.suggestion is not None
    assert decision.inner is not None
    assert decision.suggestion.batch == side["at"]
    assert decision.inner.batch == (side["at"], side["at"])
    assert decision.ladder is None
    assert decision.trust.level == "too_uncertain"
    assert "one side of the best batch only" in decision.trust.reasons[0]
    beyond = {"lr": 1e-3, "batch": 1.5 * side["at"]}
    found = two_batches().regret(**size, **beyond)
    assert found.regret > 0
    assert found.decision.price.share > 0
    assert found.decision.suggestion is not None
    assert found.decision.suggestion.batch == side["at"]


def test_every_answer_carries_the_keys() -> None:
    size: dict[str, Any] = {"params": 1e9, "tokens": 2e10}
    fit = quadratic()
    answers = (
        fit.optimum(**size),
        fit.plateau(**size),
        fit.regret(**size, lr=1e-3, batch=5e5),
        bundled().optimum(params=1e9, steps=3e4),
    )
    for answer in answers:
        document = json.loads(json.dumps(answer.to_json(), allow_nan=False))
        assert set(document) >= {
            *("suggestion", "inner", "inner_robust", "price", "ladder", "trust"),
            "about",
        }
        assert isinstance(answer.decision, Decision)
        assert answer.decision is answer.decision


def evidence(**changed: Any) -> trust.Evidence:
    plain: dict[str, Any] = {
        "distance": 0.8,
        "sizes": {"params": 1e9, "tokens": 2e10},
        "fitted": {"params": (1e8, 1e9), "tokens": (1e9, 1e11)},
        "cells_near": 3,
        "lr": (1e-3, 1.2e-3),
        "regret_upper": 1e-4,
        "tol": 0.0025,
        "loss": (2.0, 2.01),
    }
    return trust.Evidence(**(plain | changed))


TRUST = [
    ({}, "inside", "inside"),
    ({"distance": 1.2}, "near", "near"),
    ({"cells_near": 1}, "near", "near"),
    ({"distance": 2.1}, "far", "far"),
    ({"sizes": {"params": 3e9, "tokens": 2e10}, "distance": 1.1}, "near", "far"),
    ({"sizes": {"params": 1e10, "tokens": 2e10}, "distance": 1.1}, "far", "far"),
    ({"sizes": {"params": 1e7, "tokens": 2e10}, "distance": 1.1}, "far", "far"),
    ({"lr": (1e-4, 5e-4)}, "too_uncertain", "inside"),
    ({"regret_upper": 0.011}, "too_uncertain", "inside"),
    ({"loss": (2.0, 2.2)}, "inside", "too_uncertain"),
    ({"lr": (math.nan, math.nan)}, "near", "inside"),
    ({"untold": ("one side only",)}, "too_uncertain", "inside"),
]


@pytest.mark.parametrize(("changed", "setting", "loss"), TRUST)
def test_trust_is_by_rule(changed: dict[str, Any], setting: str, loss: str) -> None:
    found = trust.judge(evidence(**changed))
    assert (found.level, found.loss_level) == (setting, loss)


def test_reasons_are_in_plain_words() -> None:
    said = bundled().optimum(**AT).decision.trust
    assert said.level == "too_uncertain"
    assert said.reasons[:2] == (
        "7B is 6.5 times the largest model fitted",
        "2T is 20 times the longest run fitted",
    )
    assert said.reasons[2].startswith("the best lr is known to a factor of 3")


def test_gpu_hours_of_a_named_gpu() -> None:
    assert gpus.gpu_hours(989e12 * 0.5 * 3600, "H100", 0.5) == pytest.approx(1.0)
    price = bundled().plateau(**AT).decision.price
    assert price.gpu_hours("a100", 0.4) == pytest.approx(
        price.flops / (312e12 * 0.4 * 3600)
    )
    with pytest.raises(DataError, match=r"Expected a GPU that is known .*h100"):
        gpus.gpu_hours(1.0, "h1000")
    with pytest.raises(DataError, match=r"Write 40% or 0\.4"):
        gpus.gpu_hours(1.0, "h100", 40.0)


def test_numbers_of_so_many_digits() -> None:
    assert typed.rounded((7e-4, 2.05e-3), 1) == [7e-4, 8e-4, 9e-4, 1e-3, 2e-3]
    assert typed.rounded((9.8e-4, 1.2e-3), 2) == [9.8e-4, 9.9e-4, 1e-3, 1.1e-3, 1.2e-3]
    assert typed.rounded((1.01e-3, 1.04e-3), 2) == []
    assert typed.doublings((1e5, 6e5), 1.0, 1) == [131072, 262144, 524288]
    assert typed.doublings((1e5, 6e5), 1.0, 3) == [196608, 393216]
    assert typed.doublings((1e5, 6e5), 1e5, 1) == [1e5, 2e5, 4e5]
    assert typed.multiples((1e5, 1.2e5), 2048.0, 2) == [
        n * 2048.0 for n in range(49, 59)
    ]


def test_roots_are_the_nearest_to_the_start() -> None:
    """Closed form: -x^3 and a wave, from 0 down."""
    levels = np.array([1e-6, 0.5, 8.0, 50.0, -1.0])
    roots = first_roots(lambda x: -(x**3), 0.0, -3.0, levels)
    np.testing.assert_allclose(roots[:3], -np.cbrt(levels[:3]), rtol=0, atol=1e-9)
    assert np.isnan(roots[3])
    assert roots[4] == 0.0
    wave = first_roots(np.sin, 0.0, 20.0, np.array([0.5]), points=101)
    assert wave[0] == pytest.approx(math.pi / 6, abs=1e-12)


def test_a_robust_box_too_narrow_to_type_gives_way_to_the_inner_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fitted, find = lr_alone(), decide.boxes.boxes
    at: dict[str, Any] = {"params": 3.3e8, "tokens": 1.7e10, "recipe": "adamw"}
    batch = (fitted.optimum(**at).offer or {})["batch"]

    def narrow(*given: Any) -> decide.boxes.Boxes:
        found = find(*given)
        middle = fitted.features.u_of({"lr": 0.000807, "batch": batch})
        return found._replace(robust=middle[:, None] + np.array([[-1e-4, 1e-4]]))

    monkeypatch.setattr(decide.boxes, "boxes", narrow)
    suggested = fitted.plateau(**at, batch=batch).decision.suggestion
    assert suggested is not None
    assert typed.rounded((suggested.lr, suggested.lr), 2)
