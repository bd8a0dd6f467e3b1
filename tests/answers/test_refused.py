"""Rows, cells and choices that have no answer: said, and never a number."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.grids import table

from surrogate import Fit, fit
from surrogate.answers.limits.unfitted import unfitted, unfitted_at
from surrogate.base.errors import DataError
from surrogate.cli.main import main
from surrogate.data import Runs

WHERE: dict[str, Any] = {"params": 1e8, "tokens": 2e9}


@pytest.fixture(scope="module")
def one_size() -> Fit:
    """Nine lr at one size and one batch."""
    return fit(table(lambda x, y: 0.02 * x**2, 0), family="quadratic", bootstrap=0)


def test_a_row_at_another_size_has_no_number(one_size: Fit) -> None:
    """Closed form: 1.09 times the size is near enough, 1.11 times is not."""
    found = one_size.predict(4e-4, 131072.0, np.array([1e8, 1.09e8, 1.11e8, 7e9]), 2e9)
    assert found.status == ("ok", "ok", "not_identifiable", "not_identifiable")
    for column in (found.loss, found.loss_low, found.loss_high):
        assert np.isnan(column[2:]).all()
    assert np.isfinite(found.loss[:2]).all()
    (said,) = (text for text in found.warnings if "have no answer" in text)
    assert said.startswith("2 of 4 points have no answer: params does not vary")


def test_many_sizes_are_judged_as_one_is(one_size: Fit) -> None:
    sizes = np.array([1e8, 1.2e8, 0.5e8])
    many = unfitted_at(one_size, {"params": sizes, "tokens": np.full(3, 2e9)})
    for size, why in zip(sizes.tolist(), many, strict=True):
        asked = one_size.at(params=size, tokens=2e9).question
        assert unfitted(asked) == why


def test_a_cell_at_another_size_has_no_score(one_size: Fit) -> None:
    runs = table(lambda x, y: 0.02 * x**2, 1, cells=2)
    document = one_size.evaluate(runs).to_json()
    near, far = document["cells"]
    assert near["regret"] is not None
    assert "status" not in near
    assert far["status"] == "not_identifiable"
    for name in ("lr", "batch", "regret", "regret_smoothed", "outside_grid"):
        assert far[name] is None
    alone = one_size.evaluate(runs.subset(runs.cell == 0)).to_json()
    assert document["mae"] == alone["mae"]
    assert any("1 of 2 cells have no answer" in text for text in document["warnings"])


def test_runs_at_no_size_that_was_fitted_are_refused(one_size: Fit) -> None:
    runs = table(lambda x, y: 0.02 * x**2, 1, cells=2)
    with pytest.raises(DataError, match="Expected runs at sizes that the fit can ans"):
        one_size.evaluate(runs.subset(runs.cell == 1))


def test_holding_the_only_setting_leaves_nothing_to_choose(one_size: Fit) -> None:
    said = "since all fitted runs have a batch of 131,072 tokens, so that nothing"
    with pytest.raises(DataError, match=f"Expected no lr, {said} is left to choose"):
        one_size.optimum(**WHERE, lr=1e-3)
    assert one_size.optimum(**WHERE, batch=131072.0).lr > 0


def test_runs_of_one_lr_leave_no_batch_to_choose() -> None:
    x = np.geomspace(2.0**15, 2.0**19, 9)
    rng = np.random.default_rng(2)
    loss = np.exp(1.0 + 0.02 * np.log(x / 131072) ** 2 + 1e-3 * rng.normal(size=9))
    columns: dict[str, Any] = {
        "lr": np.full(9, 1e-3),
        "batch": x,
        "params": np.full(9, 1e8),
        "tokens": np.full(9, 2e9),
        "loss": loss,
    }
    found = fit(Runs.from_arrays(**columns), family="quadratic", bootstrap=0)
    with pytest.raises(
        DataError, match=r"Expected no batch, since all .* lr 0\.001, so"
    ):
        found.optimum(**WHERE, batch=131072.0)


def test_the_command_says_so(
    one_size: Fit,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    one_size.save("f")
    sizes = "--params 100M --tokens 2B"
    assert main(f"optimum f {sizes} --lr 1e-3".split()) == 2
    assert "nothing is left to choose" in capsys.readouterr().err
    rows = "lr,batch,params,tokens\n4e-4,131072,1e8,2e9\n4e-4,131072,7e9,2e9\n"
    Path("p.csv").write_text(rows)
    assert main("predict f p.csv --json --max-dropped 50% --out o.csv".split()) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["refused"] == {"not_identifiable": 1}
    with open("o.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["status"], second["status"]) == ("ok", "not_identifiable")
    assert second["loss"] == second["loss_low"] == second["loss_high"] == ""
