"""A further setting that was swept: its best level, what others lose, and how sure."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import surrogate
from surrogate.base.errors import DataError
from surrogate.cli.main import main
from surrogate.data import Runs
from surrogate.data.readers import read_runs
from surrogate.data.third_setting import (
    Levels,
    compare,
    label,
    level_of,
    nearest,
    split,
)

CASES = Path(__file__).parents[1] / "cases"
SIZES = {"params": "124M", "tokens": "2.6B", "batch": "524288"}
WDS = (0.0, 0.05, 0.1, 0.2, 0.4)


def truth(wd: float) -> float:
    return 0.05 * (wd - 0.15) ** 2


def sweep(rng: np.random.Generator, noise: float, *, is_grid: bool) -> Runs:
    """Walls of two slopes, an optimum that moves with the level."""
    rows = []
    for wd in WDS:
        octaves = np.arange(6) if is_grid else rng.uniform(0, 5, 8)
        for lr in 3e-4 * 2.0**octaves:
            u = math.log(lr / 2e-3)
            wall = 0.02 * (u + 0.8 * (wd - 0.1)) ** 2 * (1.6 if u > 0 else 1)
            loss = 3 * math.exp(wall + truth(wd) + noise * rng.normal())
            rows.append((lr, loss, f"{wd:g}"))
    lr, loss, levels = zip(*rows, strict=True)
    size = len(rows)
    runs = Runs.from_arrays(
        lr=np.array(lr),
        batch=np.full(size, 65536.0),
        params=np.full(size, 1e8),
        tokens=np.full(size, 2e9),
        loss=np.array(loss),
        recipe=[label("", "wd", level) for level in levels],
        diverged_above=math.inf,
    )
    return replace(runs, also="wd")


# Statistical: 60 sweeps of 4 intervals each, fixed seed; 0.94 to 0.965 of 800 were
# covered with 200 sweeps of each kind.
@pytest.mark.parametrize("is_grid", [True, False])
@pytest.mark.parametrize("noise", [0.001, 0.003])
def test_intervals_cover(is_grid: bool, noise: float) -> None:
    rng = np.random.default_rng(1)
    hits = []
    for _ in range(60):
        (found,) = compare(sweep(rng, noise, is_grid=is_grid))
        best = truth(float(found.levels[0].level))
        for level in found.levels[1:]:
            assert level.interval is not None
            gap = math.expm1(truth(float(level.level)) - best)
            hits.append(level.interval[0] <= gap <= level.interval[1])
    assert np.mean(hits) > 0.88


def test_without_noise_the_levels_are_as_they_were_made() -> None:
    (found,) = compare(sweep(np.random.default_rng(0), 1e-9, is_grid=True))
    # The wall has two slopes, which no term of ours has.
    for level in found.levels:
        wd = float(level.level)
        assert level.loss == pytest.approx(3 * math.exp(truth(wd)), rel=1.5e-3)
        assert level.runs == 6


def both(path: Path, column: str) -> tuple[Runs, Levels]:
    runs = read_runs(path, map=SIZES, also=column)
    (found,) = compare(runs)
    return runs, found


@pytest.mark.parametrize(
    ("file", "column", "levels", "runs"),
    [("15-long.csv", "wd", 5, 6), ("15-lr-by-weight-decay.csv", "WD", 6, 8)],
)
def test_the_cases_of_weight_decay(
    file: str, column: str, levels: int, runs: int
) -> None:
    table, found = both(CASES / file, column)
    assert table.also == column
    assert [level.runs for level in found.levels] == [runs] * levels
    # No decay is a level like others, the worst; 0.2 is best as measured.
    assert found.levels[-1].level == "0"
    assert found.levels[-1].interval is not None
    assert 0 < found.levels[-1].interval[0] < 0.005 < found.levels[-1].interval[1]
    assert min(found.levels, key=lambda x: x.measured).level == "0.2"
    assert all(level.at_edge and level.lr == pytest.approx(0.05)
               for level in found.levels)  # fmt: skip
    assert "0.2" in {x.level for x in (found.levels[0], *found.as_good)}


def test_levels_of_one_number_are_one() -> None:
    assert level_of("0.10") == level_of("1e-1") == "0.1"
    assert level_of("0.0") == "0"
    assert level_of("none") == "none"
    assert split("adam/wd=0.1", "wd") == ("adam", "0.1")
    assert split("wd=0", "wd") == ("", "0")
    assert split("awd=0", "wd") is None
    assert split("adam", "wd") is None


HEAD = "lr,batch,params,tokens,loss,wd,opt"


def write(folder: Path, *rows: str) -> Path:
    path = folder / "runs.csv"
    path.write_text("\n".join([HEAD, *rows]) + "\n", encoding="utf-8")
    return path


def test_wrong_settings_are_refused_and_few_runs_only_measured(tmp_path: Path) -> None:
    one = [f"{lr},65536,2e8,4e9,3,0.1,a" for lr in (1e-3, 2e-3)]
    with pytest.raises(DataError, match="expected a setting that was swept, but all"):
        read_runs(write(tmp_path, *one), also="wd")
    with pytest.raises(DataError, match=r"--also: expected a column .* Did you mean"):
        read_runs(write(tmp_path, *one), also="wdd")
    every = [f"1e-3,65536,2e8,4e9,{3 + k / 100},{k / 10},a" for k in range(20)]
    with pytest.raises(DataError, match="got 20 values in 20 runs"):
        read_runs(write(tmp_path, *every), also="wd")
    few = [*one, "1e-3,65536,2e8,4e9,2.9,0,a", "1e-3,65536,2e8,4e9,2.9,,a"]
    runs = read_runs(write(tmp_path, *few), also="wd")
    assert "the further setting is missing" in runs.dropped[0].reason
    (found,) = compare(runs)
    assert found.is_measured
    assert [(x.level, x.loss, x.interval) for x in found.levels] == [
        ("0", pytest.approx(2.9), None),
        ("0.1", pytest.approx(3.0), None),
    ]
    apart = [one[0], "1e-3,65536,4e8,4e9,2.9,0,a"]
    runs = read_runs(write(tmp_path, *apart), also="wd")
    assert compare(runs) == ()
    assert any("No size has runs of two levels of wd" in w for w in runs.warnings)


def grid(opts: str = "a", sizes: tuple[float, ...] = (2e8, 4e8)) -> list[str]:
    rows = []
    for opt in opts:
        for params in sizes:
            for k, lr in enumerate((5e-4, 1e-3, 2e-3, 4e-3)):
                for j, batch in enumerate((65536, 131072, 262144)):
                    for wd, more in (("0", 0.02), ("0.1", 0.0), ("0.3", 0.01)):
                        best = more if opt == "a" else 0.02 - more
                        bowl = 0.02 * (k - 1.6) ** 2 + 0.01 * (j - 1.2) ** 2
                        ripple = 1e-4 * ((7 * k + 3 * j + len(rows)) % 5)
                        loss = 3 - params / 4e9 + bowl + best + ripple
                        tokens = 20 * params
                        row = (
                            f"{lr},{batch},{params:g},{tokens:g},{loss:.6f},{wd},{opt}"
                        )
                        rows.append(row)
    return rows


def test_a_fit_answers_at_the_best_level(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, *grid())
    out = str(tmp_path / "fit")
    quick = ["--family", "quadratic", "--bootstrap", "0", "--backend", "numpy"]
    assert main(["check", str(path), "--also", "wd"]) == 0
    said = capsys.readouterr().out
    assert "wd at 200M params, 4B tokens (each at its best lr)" in said
    assert f"Next: surrogate fit {path} --also wd --out out/fit" in said
    assert main(["fit", str(path), "--also", "wd", "--out", out, *quick, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [x["levels"][0]["level"] for x in document["also"]] == ["0.1", "0.1"]
    where = ["--params", "4e8", "--tokens", "8e9"]
    for verb in (
        ["optimum"],
        ["plateau"],
        ["regret", "--lr", "1e-3", "--batch", "1e5"],
    ):
        assert main([verb[0], out, *where, *verb[1:], "--json"]) in (0, 1)
        answer = json.loads(capsys.readouterr().out)
        assert answer["recipe"] == "wd=0.1"
        (text,) = (x for x in answer["warnings"] if "is taken" in x)
        assert text.startswith("wd 0.1 is taken, the best of 3 levels at 400M params")
        assert "(2 of 2 sizes): 0.3 loses 0.3" in text
        assert "--recipe wd=0.3 asks about another" in text
    assert main(["optimum", out, *where, "--recipe", "wd=0", "--json"]) in (0, 1)
    answer = json.loads(capsys.readouterr().out)
    assert answer["recipe"] == "wd=0"
    assert not any("is taken" in text for text in answer["warnings"])
    assert main(["optimum", out, *where, "--recipe", "wd=7"]) == 2
    assert "Expected one of the fit's recipes" in capsys.readouterr().err


def test_every_verb_that_reads_runs_takes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = grid()
    path = str(write(tmp_path, *rows))
    fit = surrogate.fit(
        read_runs(path, also="wd"), family="quadratic", bootstrap=0, backend="numpy"
    )
    fit.save(tmp_path / "fit")
    out = str(tmp_path / "fit")
    where = ["--params", "4e8", "--tokens", "8e9"]
    page, picture = str(tmp_path / "page.html"), str(tmp_path / "plot.png")
    figure = ["plot", "surface", out, *where, "--recipe", "wd=0", "--out", picture]
    report = ["report", out, "--out", page]
    for words in (figure, report, ["compare", out, *where]):
        more = ["--overwrite"] if words[0] != "compare" else []
        assert main([*words, "--also", "wd", *more, "--json"]) == 2
        assert "--also says how a table of runs is read" in capsys.readouterr().err
        with_runs = [*words, "--runs", path, "--also", "wd", *more, "--json"]
        assert main(with_runs) in (0, 1), words
        document = json.loads(capsys.readouterr().out)
    assert main([*report, "--overwrite", "--runs", path, "--also", "wd", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["runs_of"] == len(rows)
    # Without a fit: the levels are recipes with cells of their own.
    law = ["compare", path, "--family", "quadratic", "--also", "wd", "--json"]
    assert main(law) in (0, 1)
    cells = json.loads(capsys.readouterr().out)["laws"][0]["cells"]
    assert {cell["recipe"] for cell in cells} == {"wd=0", "wd=0.1", "wd=0.3"}


def test_next_plans_at_the_best_level(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, *grid())
    fit = surrogate.fit(
        read_runs(path, also="wd"), family="quadratic", bootstrap=10, backend="numpy"
    )
    fit.save(tmp_path / "fit")
    words = ["next", str(tmp_path / "fit"), "--params", "4e9", "--tokens", "8e10"]
    assert main([*words, "--budget", "1e20", "--runs", "1", "--json"]) in (0, 1)
    document = json.loads(capsys.readouterr().out)
    assert document["recipe"] == "wd=0.1"
    assert any("wd 0.1 is taken" in text for text in document["warnings"])


def test_with_another_recipe_that_one_is_named(tmp_path: Path) -> None:
    runs = read_runs(write(tmp_path, *grid("ab")), also="wd", recipe="opt")
    found = compare(runs)
    best = {(x.recipe, x.params): x.levels[0].level for x in found}
    assert best == {("a", 2e8): "0.1", ("a", 4e8): "0.1", ("b", 2e8): "0",
                    ("b", 4e8): "0"}  # fmt: skip
    near = nearest(found, {"params": 3.9e8, "tokens": 8e9})
    assert near is not None
    assert near.params == 4e8
    fit = surrogate.fit(runs, family="quadratic", bootstrap=0, backend="numpy")
    asked: dict[str, Any] = {"params": 4e8, "tokens": 8e9}
    with pytest.raises(DataError, match="Expected --recipe, since the fit has 6"):
        fit.optimum(**asked)
    assert fit.optimum(**asked, recipe="b").to_json()["recipe"] == "b/wd=0"
    fit.save(tmp_path / "fit")
    again = surrogate.load(tmp_path / "fit")
    assert again.optimum(**asked, recipe="a").to_json()["recipe"] == "a/wd=0.1"
    assert runs.subset(runs.params > 3e8).also == "wd"
