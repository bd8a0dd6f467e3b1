"""Optima carried by published exponents to sizes that the runs tell nothing of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.grids import BATCH, table

from surrogate import Fit, fit
from surrogate.answers.laws_at_point import beside
from surrogate.answers.limits.transfer import carriers
from surrogate.base.errors import DataError, Status
from surrogate.cli.main import main
from surrogate.data import Runs
from surrogate.laws import LAWS

FAR: dict[str, Any] = {"params": 7e9, "tokens": 140e9}
NEAR: dict[str, Any] = {"params": 1e8, "tokens": 2e9}


@pytest.fixture(scope="module")
def one_size() -> Fit:
    """Nine lr at one size and one batch."""
    return fit(table(lambda x, y: 0.02 * x**2, 0), family="quadratic", bootstrap=50)


@pytest.fixture(scope="module")
def grid() -> Fit:
    """Lr and batch at one size."""
    runs = table(lambda x, y: 0.02 * x**2 + 0.02 * y**2, 0, batch=BATCH)
    return fit(runs, family="quadratic", bootstrap=50)


def test_another_size_has_no_answer_and_an_offer(grid: Fit) -> None:
    found = grid.optimum(**FAR)
    assert found.status is Status.not_identifiable
    assert np.isnan(found.lr)
    assert np.isnan(found.batch)
    first, offer, *_ = found.context.warnings
    assert first.startswith("params does not vary in the fitted runs")
    assert "to take them, add --transfer step-law" in offer
    assert found.transfer is not None
    taken = grid.optimum(**FAR, transfer="step-law")
    assert taken.transfer == found.transfer
    assert (taken.lr, taken.batch) == (found.transfer.lr, found.transfer.batch)


def test_a_law_carries_by_the_ratio_of_its_own_answers(grid: Fit) -> None:
    """Closed form: N^-0.713 D^0.307, and D^0.571 of the batch."""
    start, taken = grid.optimum(**NEAR), grid.optimum(**FAR, transfer="step-law")
    assert taken.status is Status.ok
    lr, batch = 70**-0.713 * 70**0.307, 70**0.571
    np.testing.assert_allclose(taken.lr / start.lr, lr, rtol=1e-12)
    np.testing.assert_allclose(taken.batch / start.batch, batch, rtol=1e-12)
    assert not taken.context.inside
    document = taken.to_json()
    assert document["loss"] is document["stability"] is document["interval"]["lr"]
    carried = document["transfer"]
    origin = carried["from"]
    assert (origin["params"], origin["tokens"], origin["lr"]) == (1e8, 2e9, start.lr)
    assert carried["law"] == "step-law"
    rates = [law["lr"] for law in carried["laws"]]
    assert carried["lr_range"] == [min(rates), max(rates)]
    batches = [law["batch"] for law in carried["laws"] if law["batch"] is not None]
    assert carried["batch_range"] == [min(batches), max(batches)]
    assert "step-law" in {law["law"] for law in carried["laws"]}
    said = " ".join(taken.context.warnings)
    assert "by step-law's exponents, which are not these runs'" in said


def test_all_laws_of_sizes_carry(grid: Fit) -> None:
    """C = 6 N D: of compute 70^2 fold; a line in ln N by its own values."""
    offered = grid.optimum(**FAR).transfer
    assert offered is not None
    found = {way.law: way for way in offered.laws}
    start = grid.optimum(**NEAR)
    np.testing.assert_allclose(
        found["deepseek"].lr / start.lr, 4900**-0.125, rtol=1e-12
    )
    kaplan = (0.003239 - 0.0001395 * np.log(7e9)) / (0.003239 - 0.0001395 * np.log(1e8))
    np.testing.assert_allclose(found["kaplan"].lr / start.lr, kaplan, rtol=1e-12)
    # Its batch is critical and not best.
    assert np.isnan(found["kaplan"].batch)
    # Of experts: nothing of a dense model.
    assert "ling" in carriers()
    assert "ling" not in found


def test_a_law_without_a_batch_leaves_it_and_says_so(grid: Fit) -> None:
    taken = grid.optimum(**FAR, transfer="bjorck")
    assert taken.batch == grid.optimum(**NEAR).batch
    assert any("bjorck gives no batch" in text for text in taken.context.warnings)


def test_what_is_held_is_not_carried(one_size: Fit, grid: Fit) -> None:
    held = grid.optimum(**FAR, transfer="step-law", batch=2e5)
    assert held.batch == 2e5
    start = grid.optimum(**NEAR, batch=2e5)
    np.testing.assert_allclose(held.lr / start.lr, 70**-0.406, rtol=1e-12)
    whole = one_size.optimum(**FAR, transfer="step-law", batch_multiple=65536.0)
    assert whole.batch % 65536 == 0


def test_tied_tokens_are_carried_from_their_line() -> None:
    """Off D = 20 N: the sizes on it are asked, and only D is carried."""
    runs = table(lambda x, y: 0.02 * x**2, 0, cells=5)
    found = fit(runs, family="quadratic", bootstrap=0)
    near: dict[str, Any] = {"params": 4e8, "tokens": 8e9}
    taken = found.optimum(params=4e8, tokens=4e10, transfer="step-law")
    assert taken.transfer is not None
    assert taken.transfer.start.params == 4e8
    np.testing.assert_allclose(taken.transfer.start.tokens, 8e9, rtol=1e-6)
    ratio = taken.lr / found.optimum(**near).lr
    np.testing.assert_allclose(ratio, 5**0.307, rtol=1e-6)


def test_a_one_sided_optimum_is_carried_as_one() -> None:
    runs = table(lambda x, y: 0.03 * (x - 3) ** 2, 0, cells=6)
    rows = np.isclose(runs.tokens / runs.params, 20.0)
    found = fit(runs.subset(rows), family="quadratic", bootstrap=0)
    near = found.optimum(params=4e8, tokens=8e9)
    assert near.context.one_sided
    taken = found.optimum(params=4e8, tokens=8e10, transfer="step-law")
    assert taken.status is Status.at_bound
    side, own = taken.context.one_sided["lr"], near.context.one_sided["lr"]
    np.testing.assert_allclose(side["than"] / own["than"], 10**0.307, rtol=1e-6)
    assert any("is best in 6 of 6" in text for text in taken.context.warnings)


def test_where_the_runs_tell_it_themselves_no_law_is_needed(grid: Fit) -> None:
    own, asked = grid.optimum(**NEAR), grid.optimum(**NEAR, transfer="step-law")
    assert own.lr == asked.lr
    assert asked.transfer is None
    assert any("No law was needed" in text for text in asked.context.warnings)
    assert own.transfer is None


def test_runs_without_an_optimum_of_their_own_carry_none() -> None:
    runs = table(lambda x, y: -0.02 * x**2, 0)
    found = fit(runs, family="quadratic", bootstrap=0)
    assert found.optimum(**FAR).transfer is None
    asked = found.optimum(**FAR, transfer="step-law")
    assert asked.status is Status.not_identifiable
    assert any("no optimum of these runs" in text for text in asked.context.warnings)


def test_a_scale_that_no_law_knows_is_not_carried() -> None:
    one = table(lambda x, y: 0.02 * x**2, 0)
    columns: dict[str, Any] = {
        name: getattr(one, name) for name in ("lr", "batch", "params", "tokens", "loss")
    }
    runs = Runs.from_arrays(**columns, scales={"depth": np.full(9, 12.0)})
    found = fit(runs, family="quadratic", bootstrap=0)
    assert found.optimum(**NEAR, scales={"depth": 48.0}).transfer is None
    assert found.optimum(**FAR, scales={"depth": 12.0}).transfer is not None


@pytest.mark.parametrize("name", ["steplaw", "minicpm", "power-scheduler", ""])
def test_an_unknown_law_lists_those_that_carry(grid: Fit, name: str) -> None:
    said = "Expected transfer to name a published law .*step-law, kaplan, deepseek"
    for where in (FAR, NEAR):
        with pytest.raises(DataError, match=said):
            grid.optimum(**where, transfer=name)


def test_a_law_that_says_nothing_there_is_refused(grid: Fit) -> None:
    with pytest.raises(DataError, match="got kaplan: law kaplan: expected N below"):
        grid.optimum(params=7e10, tokens=140e9, transfer="kaplan")
    with pytest.raises(DataError, match="got ling: law ling: expected the active"):
        grid.optimum(**FAR, transfer="ling")
    with pytest.raises(DataError, match="Expected transfer with params and tokens"):
        grid.optimum(params=7e9, steps=1e5, transfer="step-law")


def test_only_laws_of_params_and_tokens_carry() -> None:
    kinds = {law.name: law for law in LAWS}
    for name in carriers():
        assert kinds[name].lr is not None
    assert not {"minicpm", "power-scheduler", "power-lines", "internlm"} & set(
        carriers()
    )


def test_plateau_and_regret_name_the_offer(grid: Fit) -> None:
    flat = grid.plateau(**FAR)
    lost = grid.regret(**FAR, lr=1e-3, batch=1e6)
    for answer in (flat, lost):
        assert answer.status is Status.not_identifiable
        assert "`surrogate optimum` takes them" in answer.context.warnings[1]


def test_the_command_offers_what_to_paste(
    one_size: Fit,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    one_size.save("my fit")
    asked = ["optimum", "my fit", "--params", "7B", "--tokens", "140B"]
    assert main(asked) == 1
    text = " ".join(capsys.readouterr().out.split())
    wanted = "surrogate optimum 'my fit' --params 7B --tokens 140B --transfer step-law"
    assert f"to take it {wanted}" in text
    assert "published offer lr" in text
    assert main([*asked, "--transfer", "step-law"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "carried by step-law's exponents, not these runs'" in text
    assert "to take it" not in text
    assert "ok: Carried here by a published law; not found in these runs." in text
    assert main([*asked, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["lr"] is None
    assert document["transfer"]["command"] == wanted
    more = ["--batch-multiple", "64Ki", "--lr-range", "1e-5:1e-2", "--p-max", "1%"]
    assert main([*asked, *more, "--json"]) == 1
    command = json.loads(capsys.readouterr().out)["transfer"]["command"]
    for word in ("--batch-multiple 64Ki", "--lr-range 1e-5:1e-2", "--p-max 1%"):
        assert word in command
    assert main([*asked, "--transfer", "foo"]) == 2
    assert "step-law, kaplan" in capsys.readouterr().err


def test_compare_judges_no_law_where_the_fit_says_nothing(
    grid: Fit,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    best, sides = beside(grid.at(**FAR))
    assert best.status is Status.not_identifiable
    assert {side.regret for side in sides} == {None}
    step = next(side for side in sides if side.name == "step-law")
    assert step.lr is not None
    np.testing.assert_allclose(step.lr, 1.79 * 7e9**-0.713 * 140e9**0.307, rtol=1e-12)
    assert any(side.regret is not None for side in beside(grid.at(**NEAR))[1])
    monkeypatch.chdir(tmp_path)
    grid.save("f")
    assert main("compare f --params 7B --tokens 140B".split()) == 1
    text = capsys.readouterr().out
    (line,) = [line for line in text.splitlines() if line.startswith("surrogate ")]
    assert line.split()[1:4] == ["unknown", "unknown", "-"]
    assert "extrapolated" not in text
