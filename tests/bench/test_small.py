"""The small simulated sweeps: their truths, designs and summary, without long fits."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# bench/ is no package: its programs find each other beside themselves.
truths, designs, reference, trial, summary, small = (
    importlib.import_module(name)
    for name in (
        "simulation.small_truths",
        "simulation.small_designs",
        "simulation.small_reference",
        "simulation.small_trial",
        "simulation.small_summary",
        "small",
    )
)
KINDS = (*truths.INSIDE, *truths.OUTSIDE)
# Of a dense grid: half its step, in e-folds.
STEP = 0.01
AXIS = np.arange(-2.0, 2.0 + STEP / 2, STEP)


@pytest.mark.parametrize("kind", KINDS)
def test_the_optimum_is_that_of_a_dense_grid(kind: str) -> None:
    truth = truths.draw(np.random.default_rng(3), kind, 0)
    lr, batch = truth.best(2e8, 4e9)
    x, y = np.meshgrid(AXIS, AXIS, indexing="ij")
    size = np.full(x.shape, 2e8), np.full(x.shape, 4e9)
    loss = truth.log_loss(lr * np.exp(x), batch * np.exp(y), *size)
    least = np.unravel_index(np.argmin(loss), loss.shape)
    assert abs(AXIS[least[0]]) <= STEP
    assert abs(AXIS[least[1]]) <= STEP


@pytest.mark.parametrize("kind", KINDS)
def test_along_a_held_batch_lr_is_that_of_a_dense_grid(kind: str) -> None:
    truth = truths.draw(np.random.default_rng(4), kind, 0)
    free = truth.best(1e8, 2e9)
    held = 3 * free[1]
    lr, _ = truth.best(1e8, 2e9, held)
    grid = free[0] * np.exp(AXIS)
    one = np.ones_like(grid)
    loss = truth.log_loss(grid, held * one, 1e8 * one, 2e9 * one)
    assert abs(np.log(lr / grid[np.argmin(loss)])) <= STEP


@pytest.mark.parametrize("name", designs.DESIGNS)
def test_every_draw_of_a_design_has_one_shape(name: str) -> None:
    """The same rows and cells, so that programs are compiled once."""
    design = designs.DESIGNS[name]
    grids = [design.draw(index)[1] for index in range(4)]
    assert len({len(grid.lr) for grid in grids}) == 1
    counts = [len(np.unique(np.stack(grid[2:4]), axis=1)[0]) for grid in grids]
    assert len(set(counts)) == 1
    wanted = {"nine-lr": 9, "two-sizes": 14, "grid-3x3x3": 27, "cross-5": 45}
    assert len(grids[0].lr) == wanted.get(name, len(grids[0].lr))
    again = design.draw(2)[1]
    np.testing.assert_array_equal(again.loss, grids[2].loss)
    if (
        name not in ("below", "above")
        and "lr" in design.identifies
        and not design.wrong
    ):
        truth, grid, sd = design.draw(1)
        kept = ~np.isin(grid.label, trial.BAD)
        found = reference.reference(truth, grid, kept, sd, design.asked, None)
        assert 0 < found["lr"].width < 2 * np.log(4.0)


def test_ranges_beside_the_optimum_miss_it() -> None:
    for index in range(6):
        for name, sign in (("below", -1), ("above", 1)):
            truth, grid, _ = designs.DESIGNS[name].draw(index)
            off = np.log(grid.lr) - truth.lr(grid.params, grid.tokens)
            mine = (grid.params == 1e8) & (grid.tokens == 2e9)
            assert (sign * off[mine] > 0.5).all()


def test_one_number_is_wrong_and_the_rest_is_the_clean_sweep() -> None:
    clean = designs.DESIGNS["five-by-12"].draw(3)[1]
    spoilt = designs.DESIGNS["wrong-loss-x10"].draw(3)[1]
    ratio = spoilt.loss / clean.loss
    assert sorted(np.round(ratio, 6))[-2:] == [1.0, 10.0]
    assert (spoilt.label == "wrong").sum() == 1


def answer(**changes: Any) -> dict[str, Any]:
    """A good answer: lr* 1e-3 inside 8e-4 to 1.25e-3."""
    base = {"ok": True, "value": 1e-3, "low": 8e-4, "high": 1.25e-3, "best": 1.1e-3}
    return base | changes


def record(draw: int, lr: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    told = {"width": 0.4, "identified": True}
    return {
        "design": "nine-lr",
        "draw": draw,
        "status": "ok" if lr else "refused",
        "lr": lr,
        "batch": None,
        "reference": {"lr": told, "batch": {"width": None, "identified": False}},
        "verdicts": {"ordinary": [0, 9]},
        "seconds": 0.1,
    } | more


def test_a_planted_miss_is_counted_and_an_open_side_covers() -> None:
    records = [
        record(0, answer()),
        record(1, answer(best=1.3e-3)),
        record(2, answer(high=None, best=1.3e-3)),
        record(3, answer(value=1e-3, low=9e-4, high=1.1e-3, best=2.5e-3)),
        record(4, answer(low=None, high=None)),
        record(5, None),
        record(6, answer(ok=False)),
    ]
    groups = summary.by_design(records)
    part = summary.row("nine-lr", groups["nine-lr"])["lr"]
    assert (part["closed"], part["missed"], part["gross"]) == (3, 2, 1)
    assert (part["bare"], part["identified"], part["identified_closed"]) == (1, 7, 3)
    # ln(1.25e-3 / 8e-4) / 0.4, the middle of three.
    assert part["width"] == pytest.approx(np.log(1.25 / 0.8) / 0.4)
    wide = summary.widths([summary.row("nine-lr", groups["nine-lr"])])
    assert [each["verdict"] for each in wide] == ["PASS"]
    shares = summary.pooled(groups)
    missed = shares[0]
    assert (missed.hits, missed.of, missed.verdict) == (2, 3, "short")
    assert "short" in missed.line()
    assert (shares[1].hits, shares[1].of) == (1, 7)


def test_regret_that_is_above_its_bound_is_counted() -> None:
    bounds = [(0.02, 0.01), (0.02, 0.03), (None, 0.03)]
    records = [
        record(i, answer(), regret={"upper": upper, "true": true})
        for i, (upper, true) in enumerate(bounds)
    ]
    share = summary.pooled(summary.by_design(records))[-1]
    assert (share.name, share.hits, share.of) == ("regret's upper bound covers", 1, 2)


def test_a_wrong_number_is_held_where_it_is_flagged_or_turns_nothing() -> None:
    was = {"lr": answer(), "batch": None}
    turned = {"lr": answer(value=3e-3, low=2e-3, high=4e-3), "batch": None}
    assert trial.stays({"lr": answer(), "batch": None}, was, "lr")
    assert not trial.stays(turned, was, "lr")
    assert not trial.stays({"lr": None}, was, "lr")
    assert trial.stays(turned, was, "batch")
    lost = {"flagged": False, "stays": {"lr": False, "batch": True}}
    assert not summary.is_held(lost)
    assert summary.is_held(lost | {"flagged": True})


def test_a_draw_is_recorded_and_taken_up_again(tmp_path: Path) -> None:
    """The quick run's own path, on its smallest design."""
    store = tmp_path / "small.jsonl"
    done: dict[Any, Any] = {}
    small.run([("nine-lr", 0)], done, store, "code", 0, None)
    found = done["nine-lr", 0]
    assert found["status"]
    assert found["reference"]["lr"]["width"] > 0
    assert found["verdicts"]["ordinary"][1] == 9
    with store.open("a") as file:
        file.write('{"design": "nine-lr", "dr')
    assert small.stored(store, "code") == done
    assert small.stored(store, "other code") == {}
