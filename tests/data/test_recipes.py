"""Which recipe did best, the noise between seeds, and runs set aside, for people."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from surrogate.base import shown
from surrogate.cli.main import main
from surrogate.data import Runs
from surrogate.data.recipes import best_recipe


def runs_of(*rows: tuple[str, float, float]) -> Runs:
    """(recipe, params, loss) of each, three lr each."""
    recipe, params, loss = (np.repeat(column, 3) for column in zip(*rows, strict=True))
    lr = np.tile([1e-3, 2e-3, 4e-3], len(rows))
    return Runs.from_arrays(
        lr=lr,
        batch=np.full(lr.size, 1e5),
        params=params,
        tokens=20 * params,
        loss=loss * np.tile([1.02, 1.0, 1.01], len(rows)),
        recipe=recipe,
    )


def test_the_recipe_of_most_sizes_is_the_best() -> None:
    runs = runs_of(
        ("a", 1e8, 3.0), ("b", 1e8, 3.1), ("a", 2e8, 2.9), ("b", 2e8, 2.8),
        ("a", 4e8, 2.5), ("b", 4e8, 2.6), ("c", 8e8, 2.0),
    )  # fmt: skip
    found = best_recipe(runs.cells)
    assert found is not None
    assert (found.recipe, found.sizes, found.of, found.after) == ("a", 2, 3, "b")
    # At the largest size that they share: closed form.
    assert found.gap == pytest.approx(2.6 / 2.5 - 1)


def test_recipes_that_share_no_size_are_not_compared() -> None:
    assert best_recipe(runs_of(("a", 1e8, 3.0), ("b", 2e8, 2.0)).cells) is None
    assert best_recipe(runs_of(("a", 1e8, 3.0)).cells) is None


SEEDS = """lr,batch,params,tokens,loss,seed,wd
1e-3,65536,1e8,2e9,3.00,1,0.1
1e-3,65536,1e8,2e9,3.03,2,0.1
2e-3,65536,1e8,2e9,2.90,1,0.1
2e-3,65536,1e8,2e9,2.93,2,0.1
4e-3,65536,1e8,2e9,3.02,1,0.1
1e-3,65536,1e8,2e9,2.99,1,0.2
2e-3,65536,1e8,2e9,2.88,1,0.2
4e-3,65536,1e8,2e9,3.01,1,0.2
8e-3,65536,1e8,2e9,0.01,1,0.2
6e-3,65536,1e8,2e9,3.10,1,0.2
"""


def test_check_and_fit_print_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs.csv").write_text(SEEDS)
    assert main(["check", "runs.csv", "--recipe", "wd"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    # Two pairs, 0.03 apart at 3.0 and at 2.9: root mean square over sqrt 2.
    noise = np.sqrt(np.mean([np.log(3.03 / 3.0) ** 2, np.log(2.93 / 2.9) ** 2]) / 2)
    assert f"seed noise {shown.percent(noise)} of the loss, by replicates" in text
    assert "best recipe 0.2: lowest measured loss at 1 of 1 size, 0.69 % below" in text
    assert "0.1, within the noise between seeds" in text
    assert "Runs set aside" in text
    assert "runs.csv line 10" in text
    assert main(["check", "runs.csv", "--recipe", "wd", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["seed_noise"] == pytest.approx(noise)
    (aside,) = document["aside"]
    assert (aside["where"], aside["loss"]) == ("runs.csv line 10", 0.01)
    assert document["set_aside"] == 1
    how = ["--family", "quadratic", "--bootstrap", "0", "--out", "f"]
    assert main(["fit", "runs.csv", "--recipe", "wd", *how]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"seed noise {shown.percent(noise)} of the loss" in text
    assert "best recipe 0.2" in text
