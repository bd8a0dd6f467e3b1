"""Settings that were probably typed wrong: batches in sequences, an lr of 3."""

from __future__ import annotations

import csv
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import fit as fit_support

from surrogate.answers import Fit
from surrogate.answers.slips import unlikely_setting
from surrogate.base.errors import DataError, UnlikelyError
from surrogate.cli import typing_numbers
from surrogate.cli.main import main

Capture = pytest.CaptureFixture[str]
GOOD: dict[str, Any] = {"params": 1e9, "tokens": 2e10}
SIZES = "--params 1B --tokens 20B"


def bundled() -> Fit:
    return fit_support.bare(fit_support.bundled())


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    # Fitted: batches 32,768 to 4Mi tokens in sequences of 2,048; lr 2.4e-4 to 2.2e-2.
    [
        ("batch", 32.0, "32x2048"),
        ("batch", 256.0, "256x2048"),
        ("batch", 4096.0, "4096x2048"),
        ("batch_max", 256.0, "256x2048"),
        ("batch", 256.5, "not refused"),
        ("batch", 8192.0, "not refused"),
        ("batch", 20_000.0, "not refused"),
        ("batch", 3e10, None),
        ("batch_max", 3e10, "not refused"),
        ("lr", 3.0, "3e-3"),
        ("lr", 3e-9, "3e-3"),
        ("lr", 0.3, "not refused"),
        ("lr", 1e-5, "not refused"),
        ("lr_max", 3.0, "not refused"),
        ("lr_max", 3e-9, "3e-3"),
    ],
)
def test_a_setting_far_from_all_fitted_is_asked_about(
    name: str, value: float, meant: str | None
) -> None:
    found = unlikely_setting(bundled(), name, value, tokens=2e10)
    if meant == "not refused":
        assert found is None
        return
    assert found is not None
    assert (found.meant, found.name, found.allow) == (meant, name, "small")
    assert found.said.startswith(f"{name} {value:g} ")


def test_an_unknown_length_of_sequences_is_said_to_be_a_guess() -> None:
    fit = bundled()
    told = unlikely_setting(fit, "batch", 256.0)
    assert told is not None
    assert "256 of 2,048 tokens as in the fitted runs?" in told.said
    guessed = unlikely_setting(replace(fit, about={}), "batch", 256.0)
    assert guessed is not None
    assert "256 of 2,048 tokens, say?" in guessed.said
    longer = unlikely_setting(replace(fit, about={"seq_len": "4096"}), "batch", 256.0)
    assert longer is not None
    assert longer.meant == "256x4096"


def test_small_runs_may_have_small_batches() -> None:
    fit = bundled()
    fitted = {**fit.features.fitted, "batch": (512.0, 4096.0)}
    toy = replace(fit, features=replace(fit.features, fitted=fitted))
    assert unlikely_setting(toy, "batch", 256.0) is None
    # In sequences it would be 32 times the largest.
    assert unlikely_setting(toy, "batch", 64.0) is None


VERBS = [
    ("optimum", {"batch": 256.0}),
    ("optimum", {"batch_max": 256.0}),
    ("optimum", {"batch_range": (64.0, 1024.0)}),
    ("plateau", {"batch": 256.0}),
    ("plateau", {"batch_max": 256.0}),
    ("regret", {"lr": 1e-3, "batch": 256.0}),
    ("regret", {"lr": 1e-3, "batch": 5e5, "batch_max": 256.0}),
]


@pytest.mark.parametrize(("verb", "more"), VERBS)
def test_every_verb_asks_unless_it_is_allowed(verb: str, more: dict[str, Any]) -> None:
    ask = getattr(bundled(), verb)
    with pytest.raises(UnlikelyError, match="Were sequences meant"):
        ask(**GOOD, **more)
    if "batch_max" not in more:
        assert ask(**GOOD, **more, allow=("small",)) is not None
        return
    # Nothing so small is searched.
    with pytest.raises(DataError, match="batch_max of at least 8,192 tokens, the smal"):
        ask(**GOOD, **more, allow=("small",))


def test_a_budget_and_planned_rates_are_asked_about_too() -> None:
    fit = bundled()
    with pytest.raises(UnlikelyError, match="Were sequences meant"):
        fit.optimum(flops=1e20, batch=256.0)
    with pytest.raises(UnlikelyError, match="did you mean 3e-3"):
        fit.next_runs(**GOOD, budget=1e20, lr_levels=(3.0,))


def test_points_in_sequences_have_no_loss() -> None:
    columns: dict[str, Any] = {
        "lr": np.array([1e-3, 1e-3, 3.0]),
        "batch": np.array([5e5, 256.0, 5e5]),
        "params": np.full(3, 1e9),
        "tokens": np.full(3, 2e10),
    }
    found = bundled().predict(**columns)
    assert found.status[0] == "ok"
    assert "Were sequences meant" in found.status[1]
    assert "did you mean 3e-3" in found.status[2]
    np.testing.assert_array_equal(np.isfinite(found.loss), [True, False, False])


def test_a_loss_that_no_model_has_names_the_setting() -> None:
    with pytest.raises(
        UnlikelyError, match=r"nothing: lr 0\.3 is 14 times the largest"
    ):
        bundled().regret(**GOOD, lr=0.3, batch=5e5)


# ---- the command ----------------------------------------------------------------

TYPED = [
    f"regret steplaw-dense {SIZES} --lr 1e-3 --batch 256",
    f"optimum steplaw-dense {SIZES} --batch=256",
    f"plateau steplaw-dense {SIZES} --batch-max 256",
    f"plateau steplaw-dense {SIZES} --batch-range 64:1024",
    f"regret steplaw-dense {SIZES} --lr 3 --batch 512Ki",
    "plateau steplaw-dense --params 7 --tokens 20B",
    "optimum steplaw-moe --params 2.15B --tokens 40B --scale active=590",
]


@pytest.mark.parametrize("typed", TYPED)
def test_the_whole_line_to_type_runs(typed: str, capsys: Capture) -> None:
    assert main(typed.split()) == 2
    said = capsys.readouterr()
    assert said.out == ""
    line = said.err.strip().rpartition("Type: surrogate ")[2]
    assert main([*shlex.split(line), "--json"]) in (0, 1)


def test_a_file_of_questions_says_what_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "1B,20B,1e-3,256\n1B,20B,1e-3,512Ki\n1B,20B,1e-3,256x2048\n"
    Path("q.csv").write_text(f"params,tokens,lr,batch\n{rows}")
    assert main("regret steplaw-dense --points q.csv --out a.csv".split()) == 0
    with open("a.csv", newline="") as file:
        first, second, third = csv.DictReader(file)
    assert first["regret"] == ""
    assert first["status"].endswith("Write 256x2048.")
    assert second["regret"] == third["regret"]


# ---- budgets ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "flops"),
    # Closed form: 1 PF-day is 1e15 x 86,400.
    [
        ("1e21", 1e21),
        ("e21", 1e21),
        ("3EF", 3e18),
        ("2 ZFLOPs", 2e21),
        ("100PF-days", 8.64e21),
        ("100 PFLOP/s-days", 8.64e21),
        ("0.5 pf day", 4.32e19),
        ("1.5e2PF-days", 1.296e22),
    ],
)
def test_budgets_are_read_as_people_write_them(text: str, flops: float) -> None:
    assert typing_numbers.flops(text) == pytest.approx(flops, rel=1e-12)


@pytest.mark.parametrize("text", ["1PF/s", "3 EFLOPS/s", "100 days", "PF-days"])
def test_a_rate_is_no_budget(text: str) -> None:
    with pytest.raises(DataError, match=r"^--flops: expected"):
        typing_numbers.flops(text)


def test_a_budget_and_one_size_tell_the_other() -> None:
    fit = bundled()
    whole = fit.optimum(params=1e9, tokens=2e10)
    for one in ({"params": 1e9}, {"tokens": 2e10}):
        found = fit.optimum(flops=1.2e20, **one)
        assert (found.lr, found.batch) == (whole.lr, whole.batch)
        assert found.scan is None
    with pytest.raises(DataError, match="Expected two of params, tokens and flops"):
        fit.optimum(flops=1.2e20, params=1e9, tokens=2e10)


BUDGETS = [
    ("--params 1B --flops 1.2e20", 1e9, 2e10),
    ("--tokens 20B --flops 120EF", 1e9, 2e10),
    # 6 x 20 N^2.
    ("--tokens 20x --flops 120EF", 1e9, 2e10),
]


@pytest.mark.parametrize("verb", ["optimum", "plateau", "regret --lr 1e-3 --batch 1M"])
@pytest.mark.parametrize(("typed", "params", "tokens"), BUDGETS)
def test_the_command_takes_a_budget_for_a_size(
    verb: str, typed: str, params: float, tokens: float, capsys: Capture
) -> None:
    name, *more = verb.split()
    assert main([name, "steplaw-dense", *typed.split(), *more]) == 0
    assert "1B params, 20B tokens (1.2e+20 FLOPs)" in capsys.readouterr().out


def test_a_budget_with_both_sizes_is_asked_about(capsys: Capture) -> None:
    assert main(f"plateau steplaw-dense {SIZES} --flops 1e20".split()) == 2
    assert "expected two of them" in capsys.readouterr().err
    moe = "plateau steplaw-moe --params 2.15B --flops 1e20 --scale active=590M"
    assert main(moe.split()) == 2
    assert "go by active, not by params" in capsys.readouterr().err


def test_finished_runs_are_for_evaluate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    row = "1e-3,524288,1e9,2e10,2.3\n"
    Path("own.csv").write_text(f"lr,batch,params,tokens,loss\n{row}")
    assert main("predict steplaw-dense own.csv --out p.csv".split()) == 2
    line = capsys.readouterr().err.split("`")[1]
    assert line == "surrogate evaluate steplaw-dense own.csv"
    assert main(line.split()[1:]) == 0
