"""Regions, cells and recipes left out: what is held out, skipped and scored."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from support.fit import SIZES, Bowl, table

import surrogate
from surrogate.answers.validated import FoldScore, Validation
from surrogate.base.errors import DataError
from surrogate.cli.main import main
from surrogate.data import Runs
from surrogate.fitting import regions

Capture = pytest.CaptureFixture[str]
FAST: dict[str, Any] = {"family": "quadratic", "bootstrap": 20, "backend": "numpy"}


def runs(noise: float = 5e-4) -> Runs:
    return Runs.from_arrays(**table(noise=noise))


def held(found: regions.Plan, of: Runs) -> dict[str, set[tuple[float, float]]]:
    return {
        fold.name.split(":")[0]: {
            (cell.params, cell.tokens)
            for cell, is_held in zip(of.cells, fold.held, strict=True)
            if is_held
        }
        for fold in found.folds
    }


def test_regions_are_the_ends_of_the_table() -> None:
    of = runs()
    found = held(regions.plan(of, ["regions"]), of)
    assert found["largest params"] == {(9e8, 2e10), (9e8, 9e10)}
    assert found["smallest params"] == {(1e8, 4e9), (1e8, 3e10)}
    assert found["smallest tokens"] == {(1e8, 4e9)}
    ratio = {size: size[1] / size[0] for size in SIZES}
    assert found["highest tokens / params"] == {max(SIZES, key=lambda s: ratio[s])}
    assert "smallest tokens" in found
    # Eight cells: the two largest params leave only four.
    assert "two largest params" not in found


def test_what_leaves_too_few_or_the_same_is_skipped_with_a_reason() -> None:
    skipped = {
        s.name.split(":")[0]: s.why for s in regions.plan(runs(), ["regions"])[1]
    }
    assert skipped["two largest params"] == (
        "only 4 cells would be left, and a fold needs 5"
    )
    assert skipped["largest params x tokens"].startswith("the same cells as ")


def test_scores_are_those_of_a_fit_without_the_fold() -> None:
    of = runs()
    mask = np.array([cell.params > 5e8 for cell in of.cells])
    found = surrogate.validate(of, folds={"mine": mask}, **FAST)
    (fold,) = found.folds
    assert (fold.name, fold.left, len(fold.cells)) == ("mine", 6, 2)
    fitted = surrogate.fit(of.subset(~mask[of.cell]), **FAST)
    members = mask[of.cell]
    best = np.array([cell.best for cell in of.cells])[of.cell[members]]
    told = fitted.predict(
        *(v[members] for v in (of.lr_level, of.batch, of.params, of.tokens))
    )
    loss = of.loss[members]
    off = np.abs(np.log(told.loss / loss))
    assert fold.mae_ln == pytest.approx(off[loss <= 1.1 * best].mean(), rel=1e-9)
    near = loss <= 1.05 * best
    covered = ((told.loss_low <= loss) & (loss <= told.loss_high))[near].mean()
    assert fold.coverage == pytest.approx(covered)
    assert fold.coverage > 0.9
    for cell in fold.cells:
        use = fitted.optimum(params=cell.params, tokens=cell.tokens).decision.suggestion
        assert use is not None
        assert (cell.lr, cell.batch) == (use.lr, use.batch)
        assert cell.regret_bound == use.regret_upper


def test_an_exact_law_is_told_without_error() -> None:
    found = surrogate.validate(runs(noise=0.0), **FAST)
    assert found.summary()["mae_ln"] < 1e-3
    assert found.summary()["bounded"] == 1.0


def test_a_recipe_left_out_is_asked_as_its_nearest() -> None:
    parts = [table(Bowl(offset=o), noise=5e-4) for o in (0.0, 0.02)]
    columns: dict[str, Any] = {
        k: np.concatenate([p[k] for p in parts]) for k in parts[0]
    }
    names = np.repeat(["a", "b"], [len(p["lr"]) for p in parts])
    both = Runs.from_arrays(**columns, recipe=names)
    found = surrogate.validate(both, folds="recipes", **FAST)
    assert [fold.name for fold in found.folds] == ["recipe 'a'", "recipe 'b'"]
    assert {c.asked_as for c in found.folds[0].cells} == {"b"}
    # The level is the other recipe's, the optimum is shared.
    assert found.folds[0].mean("bias_ln") == pytest.approx(0.02, abs=0.004)
    assert found.folds[0].mean("regret") < 0.004


def test_bad_folds_are_refused() -> None:
    with pytest.raises(DataError, match="folds to be some of regions, cells, recipes"):
        surrogate.validate(runs(), folds="ends", **FAST)
    with pytest.raises(DataError, match="as 8 booleans, one for each"):
        surrogate.validate(runs(), folds={"mine": np.ones(3, bool)}, **FAST)
    few = runs().subset(runs().cell < 4)
    with pytest.raises(DataError, match="so that 5 or more stay"):
        surrogate.validate(few, **FAST)
    with pytest.raises(DataError, match="Expected a family among"):
        surrogate.validate(runs(), family="cubic")


def score(coverage: float) -> FoldScore:
    return FoldScore("regions", "x", "bowl", 5, (), 0.01, coverage, 0.02, 0.1, None)


def test_folds_count_once_each() -> None:
    found = Validation("bowl", (score(1.0), score(0.7), score(0.1)), (), 0.95)
    means = found.summary()
    assert means["coverage"] == pytest.approx(0.6)
    assert (means["covered_80"], means["covered_40"]) == (2, 1)


def test_the_command_says_what_was_left_out(tmp_path: Any, capsys: Capture) -> None:
    path = tmp_path / "runs.csv"
    lines = ["lr,batch,params,tokens,loss"]
    columns = table(noise=5e-4)
    lines += [
        ",".join(map(repr, map(float, row)))
        for row in zip(*columns.values(), strict=True)
    ]
    path.write_text("\n".join(lines))
    asked = ["validate", str(path), "--family", "quadratic", "--bootstrap", "20"]
    assert main([*asked, "--backend", "numpy", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {fold["name"].split(":")[0] for fold in document["folds"]} >= {
        "largest params",
        "smallest tokens",
    }
    assert document["summary"]["coverage"] > 0.9
    assert any("a fold needs 5" in text for text in document["warnings"])
    assert main([*asked, "--folds", "ends"]) == 2


def test_a_fit_says_how_far_its_own_statements_hold() -> None:
    # The same folds by the other verb, and a bundled fit, which has no runs.
    own = surrogate.fit(runs(), **FAST)
    asked: dict[str, Any] = {"folds": {"two": np.arange(8) < 2}, "bootstrap": 20}
    found = own.calibration(**asked)
    expected = surrogate.validate(runs(), **asked, family="quadratic")
    assert found.to_json() == expected.to_json()
    assert found.folds[0].name == "two"
    with pytest.raises(DataError, match="a fit with its runs"):
        surrogate.load("steplaw-dense").calibration()
