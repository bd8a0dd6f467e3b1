"""The short text of an answer: what it says, at 80 columns, in 16 lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.cli import surrogate

from surrogate.base import shown
from surrogate.base.about import (
    check_about,
    known_about,
    parse_about,
    sentence,
)
from surrogate.base.errors import DataError
from surrogate.cli.main import main

Capture = pytest.CaptureFixture[str]
DENSE, MOE = "bundled:steplaw-dense", "bundled:steplaw-moe"
SMALL = ("--params", "1B", "--tokens", "20B")
LARGE = ("--params", "7B", "--tokens", "2T")
SPARSE = ("--params", "2.15B", "--tokens", "40B", "--scale", "active=590M")
MINE = ("--lr", "1.84e-3", "--batch", "179096")


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("size", [SMALL, LARGE, SPARSE], ids=" ".join)
@pytest.mark.parametrize(
    "command", ["optimum", "plateau", "regret", "plateau --ladder"]
)
def test_short_text_has_16_lines_of_80_columns(
    command: str, size: tuple[str, ...], capsys: Capture
) -> None:
    name, *more = command.split()
    more += MINE if name == "regret" else ()
    fit = MOE if size is SPARSE else DENSE
    assert main([name, fit, *size, *more]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert len(lines) <= 16
    assert captured.err == ""
    # A command to paste is one line, however long.
    assert all(len(line) <= 80 for line in lines if "surrogate regret" not in line)


def test_plateau_says_what_to_use_and_what_is_as_good(capsys: Capture) -> None:
    assert main(["plateau", DENSE, *LARGE]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for part in (
        "7B params, 2T tokens bundled:steplaw-dense",
        "Use lr 6.4e-4, batch 3Mi tokens (1,536 x 2,048), 636K steps",
        "at most 0.25 % above the best loss, as with 10 % fewer tokens",
        "Other batch 2Mi (lr 5.9e-4) loses 0.071 %, 8Mi (lr 9.5e-4) 0.16 %",
        "by the fit alone lr 4.5e-4 to 1.3e-3 with batch 2.17M to 6.82M",
        "! Too uncertain to rely on: 7B is 6.5 times the largest model fitted; 2T is",
        "the best lr is known to a factor of 3.",
        "Divergence unlikely: 3 doublings of lr below the edge",
        "Holds for Step Law's AdamW, cosine to 1e-5, params without embeddings.",
        "More: --all, --ladder, --json. Your own setting: surrogate regret "
        f"{DENSE} --params 7B --tokens 2T --lr 3e-4 --batch 3Mi",
    ):
        assert part in text


def test_regret_says_cost_and_fix(capsys: Capture) -> None:
    assert main(["regret", DENSE, *SMALL, *MINE, "--gpu", "h100"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for part in (
        "Loses 0.90 % of the loss, at most 1.1 % (95 %): outside the 0.25 % plateau",
        "Costs 16 % of the tokens, at most 20 %: 3.21B tokens, 1.9e19 FLOPs",
        "hours of h100",
        "Fix lr 7.4e-4 at your batch loses 0.25 %",
        "or batch 417K at your lr loses 0.25 %",
        "Better lr 1e-3, batch 384Ki tokens (192 x 2,048)",
        "Inside the data",
    ):
        assert part in text


def test_the_command_offered_can_be_typed(capsys: Capture) -> None:
    assert main(["plateau", MOE, *SPARSE]) == 0
    line = capsys.readouterr().out.splitlines()[-1].split()
    assert line[:2] == ["surrogate", "regret"]
    assert main(line[1:]) == 0


def test_all_prints_what_was_printed_before(capsys: Capture) -> None:
    assert main(["plateau", DENSE, *LARGE, "--all"]) == 0
    captured = capsys.readouterr()
    assert "Plateau within 0.25 % for 7B parameters" in captured.out
    assert "robust means" in captured.out
    assert "Extrapolation: " in captured.err


def test_ladder_lists_batches(capsys: Capture) -> None:
    assert main(["plateau", DENSE, *LARGE, "--ladder"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["512Ki", "1.4e-4", "1.7195", "0.71", "%", "26", "%", "3.81M"] in lines
    assert ["2Mi", "5.9e-4", "1.7086", "0.071", "%", "3.1", "%", "954K"] in lines


REFUSED = [
    (("--gpu", "h900"), "Expected a GPU that is known"),
    (("--mfu", "40%"), "expected with --gpu"),
    (("--lr-max", "0"), "--lr-max"),
    (("--batch-max", "1e5", "--batch-multiple", "2e5"), "no batch is both"),
]


@pytest.mark.parametrize(("more", "message"), REFUSED)
def test_limits_are_refused(
    more: tuple[str, ...], message: str, capsys: Capture
) -> None:
    assert main(["plateau", DENSE, *SMALL, *more]) == 2
    assert message in capsys.readouterr().err


def one_batch(path: Path) -> None:
    """Nine cells of one batch each: lr is told, batch is not."""
    rows = ["lr,batch,params,tokens,loss"]
    for n in (1e8, 3e8, 1e9):
        for d in (2e9, 6e9, 2e10):
            for k in range(5):
                lr = 1e-3 * 2 ** (k - 2)
                loss = 2 + 400 * n**-0.3 + 2e3 * d**-0.35 + 0.01 * (k - 2.2) ** 2
                rows.append(
                    f"{lr},262144,{n},{d},{loss + 1e-4 * ((k * 7 + int(d)) % 3)}"
                )
    path.write_text("\n".join(rows))


def test_about_is_kept_and_a_ladder_without_batch_is_refused(
    tmp_path: Path, capsys: Capture
) -> None:
    one_batch(tmp_path / "runs.csv")
    how = ["--family", "quadratic", "--bootstrap", "20", "--backend", "numpy"]
    done = surrogate(
        *("fit", "runs.csv", "--out", "mine", *how),
        *("--about", "optimizer=Muon", "--about", "schedule=WSD"),
        *("--about", "final_lr=0", "--params-kind", "total"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    fit = str(tmp_path / "mine")
    size = ("--params", "500M", "--tokens", "6B")
    assert main(["plateau", fit, *size]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Holds for Muon, WSD to 0, params with embeddings." in out
    assert "As good any lr" in out
    assert main(["plateau", fit, *size, "--ladder"]) == 2
    assert "no table of batches" in capsys.readouterr().err
    assert main(["optimum", fit, *size, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["about"]["optimizer"] == "Muon"
    assert document["ladder"] is None


ABOUT = [
    (["optimizer"], "expected KEY=VALUE"),
    (["optimizer=AdamW", "optimizer=Muon"], "is said twice"),
]


@pytest.mark.parametrize(("values", "message"), ABOUT)
def test_about_is_refused(values: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_about(values)


KINDS = {"params_kind": "total", "loss_kind": "train"}
CONTRADICTIONS = [
    ({"params_kind": "non_embedding"}, None, "contradicts the runs"),
    ({"seq_len": "2048"}, 4096, "contradicts --seq-len 4096"),
    ({"seq_len": "2.5"}, None, "whole number"),
    ({"optimizer": "a" * 200}, None, "short text"),
    ({"optimizer": "a\x1bb"}, None, "a line of text"),
]


@pytest.mark.parametrize(("about", "seq_len", "message"), CONTRADICTIONS)
def test_about_that_contradicts_is_refused(
    about: dict[str, str], seq_len: int | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        check_about(about, KINDS, seq_len)


def test_what_is_unknown_of_a_recipe_is_said() -> None:
    assert known_about([{"sha256": "0"}]) == {}
    said = sentence({"params_kind": "unknown", "optimizer": None})
    assert said == (
        "Holds for the recipe fitted (not stated: optimizer, schedule and what params "
        "count)."
    )
    assert parse_about(["Final LR=1e-5", "final-lr=1e-5"]) == {"final_lr": "1e-5"}


FORMS = [
    (shown.lr(1.256e-3), "1.3e-3"),
    (shown.lr(8e-4), "8e-4"),
    (shown.lr(1.056e-3, 3), "1.06e-3"),
    (shown.tokens(655360, 4096), "640Ki tokens (160 x 4,096)"),
    (shown.tokens(179096), "179,096 tokens"),
    (shown.tokens(2.0**22, 2048), "4Mi tokens (2,048 x 2,048)"),
    (shown.tokens(2.0**22), "4Mi tokens (4,194,304)"),
    (shown.percent(0.0025), "0.25 %"),
    (shown.percent(0.009), "0.90 %"),
    (shown.percent(0.0996), "10 %"),
    (shown.percent(0.1346), "13 %"),
    (shown.percent(1.5), "150 %"),
    (shown.percent(3e-6), "under 0.01 %"),
    (shown.percent(-0.00329), "-0.33 %"),
    (shown.percent(-3e-6), "over -0.01 %"),
    (shown.percent(float("nan")), "unknown"),
    (shown.percent(0.0), "0 %"),
    (shown.power(1.93e19), "1.9e19"),
    (shown.span(None, 2e-3, shown.lr), "up to 2e-3"),
    (shown.span(1e5, None), "100K or more"),
]


@pytest.mark.parametrize(("found", "expected"), FORMS)
def test_one_format_a_quantity(found: str, expected: str) -> None:
    assert found == expected


def test_beside_a_thin_box_stands_that_of_the_fit_alone(capsys: Capture) -> None:
    assert main(["plateau", DENSE, *LARGE, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    low, high = document["inner_robust"]["lr"]
    assert high < 1.2 * low
    assert main(["plateau", DENSE, *LARGE]) == 0
    said = capsys.readouterr().out
    ends = " to ".join(shown.lr(end) for end in document["inner"]["lr"])
    assert f"by the fit alone lr {ends}" in said
    assert main(["plateau", DENSE, *SMALL]) == 0
    assert "by the fit alone" not in capsys.readouterr().out


def test_a_limit_says_what_it_costs_and_is_kept_to(capsys: Capture) -> None:
    assert main(["plateau", DENSE, *SMALL, "--batch-max", "64Ki"]) == 0
    said = capsys.readouterr().out
    assert "against what --batch-max keeps out" in said
    assert "larger batches" not in said
    assert "Too uncertain" not in said
    choice = ["--lr", "1e-3", "--batch", "384Ki", "--batch-max", "64Ki"]
    assert main(["regret", DENSE, *SMALL, *choice]) == 0
    assert "  Allowed  " in capsys.readouterr().out
    for command in ("optimum", "plateau"):
        assert main([command, DENSE, *SMALL, "--lr-max", "1e-5"]) == 2
        assert "lr_max of at least" in capsys.readouterr().err


def test_the_words_of_trust_contradict_no_reason(capsys: Capture) -> None:
    sizes = ["--params", "1.7B", "--tokens", "100B"]
    assert main(["plateau", "openeurollm-dense", *sizes]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Counts as inside the data, though 1.7B is 1.7 times the largest" in said
