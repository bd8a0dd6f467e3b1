"""What the command prints: JSON without NaN, text that starts with the numbers."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surrogate.base.errors import Status
from surrogate.cli import options, output
from surrogate.cli.progress import Bar
from surrogate.cli.text import answers, tables

Capture = pytest.CaptureFixture[str]


@dataclass(frozen=True)
class Pair:
    first: str
    second: float


@pytest.mark.parametrize("status", list(Status))
def test_exit_code_follows_the_status(status: Status, capsys: Capture) -> None:
    document = {"schema": 1, "status": status, "warnings": ["look here"]}
    failed = {Status.no_optimum, Status.not_converged, Status.not_identifiable}
    code = output.emit(document, True, answers.optimum)
    captured = capsys.readouterr()
    assert code == (1 if status in failed else 0)
    assert json.loads(captured.out)["status"] == status.value
    assert captured.err == "surrogate: warning: look here\n"


def test_json_has_no_nan_and_no_numpy() -> None:
    value = {
        "nan": math.nan,
        "inf": [-math.inf, 1.5],
        "array": np.array([[1.0, math.nan]]),
        "scalar": np.float32(0.5),
        "count": np.int64(3),
        "flag": np.bool_(True),
        "path": Path("a/b"),
        "status": Status.ok,
        "pair": Pair("a", math.nan),
        "none": None,
    }
    found = output.json_value(value)
    assert found == {
        "nan": None,
        "inf": [None, 1.5],
        "array": [[1.0, None]],
        "scalar": 0.5,
        "count": 3,
        "flag": True,
        "path": "a/b",
        "status": "ok",
        "pair": {"first": "a", "second": None},
        "none": None,
    }
    assert type(found["status"]) is str
    assert type(found["flag"]) is bool


def test_json_refuses_what_is_no_answer() -> None:
    with pytest.raises(TypeError, match="object has no place in a JSON answer"):
        output.json_value({"a": [object()]})


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_json_floats_read_back_exactly(value: float) -> None:
    text = json.dumps(output.json_value(np.array([value])))
    assert json.loads(text)[0] == value


@given(st.text())
def test_plain_text_is_one_printable_line(text: str) -> None:
    assert output.plain(text).isprintable()


def test_plain_text_keeps_words_and_shows_escapes() -> None:
    assert output.plain("a\n b\tc \x1b[1m") == "a b c \\x1b[1m"


def test_pairs_split_at_the_first_equals() -> None:
    assert options.pairs("--map", ["loss=a=b", " lr = x y "], "") == {
        "loss": "a=b",
        "lr": "x y",
    }
    assert options.pairs("--map", [], "") is None


def rendered(document: dict[str, Any], render: Callable[..., Any]) -> str:
    from rich.console import Console

    stream = io.StringIO()
    console = Console(file=stream, width=80, markup=False, highlight=False)
    for part in render(output.json_value(document)):
        console.print(part)
    return stream.getvalue()


ANSWER = {
    "schema": 1,
    "params": 1.07e9,
    "tokens": 1e11,
    "scales": {},
    "recipe": None,
    "family": "quadratic",
    "loss_kind": "train",
    "extrapolation": {"inside": False, "distance": 1.25},
    "status": "ok",
    "warnings": [],
}


def test_optimum_text_starts_with_the_numbers_to_use() -> None:
    interval = {"level": 0.9, "lr": [1e-3, 2e-3], "batch": [4e5, 6e5], "loss": None}
    found = {"lr": 0.00123456, "batch": 524288.2, "loss": 2.34567}
    text = rendered({**ANSWER, **found, "interval": interval}, answers.optimum)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[:4] == [
        "Optimum for 1.07B parameters, 100B tokens",
        "lr 1.23e-3",
        "batch 524,288 tokens",
        "loss 2.3457 nats per token",
    ]
    assert "lr, 90 % interval 1e-3 to 2e-3" in lines
    assert not any(line.startswith("loss, 90%") for line in lines)
    assert "fitted range outside: an extrapolation (distance 1.25, edge 1)" in lines
    assert max(map(len, text.splitlines())) <= 80


def test_refused_optimum_shows_what_can_be_had() -> None:
    nothing = {"lr": None, "batch": None, "loss": None, "interval": None}
    offer = {"offer": {"lr": 2e-3, "batch": 262144}, "status": "not_identifiable"}
    text = rendered({**ANSWER, **nothing, **offer}, answers.optimum)
    assert "lr 2e-3 at batch 262,144 tokens" in text
    assert "not_identifiable" in text


def test_plateau_text_shows_band_and_sureness() -> None:
    band = {"low": 1e-3, "high": 2e-3, "octaves": 1.0}
    tokens = {"low": 2.0**18, "high": 2.0**20, "octaves": 2.0}
    document = {
        **ANSWER,
        "tol": 0.0025,
        "optimum": {"lr": 1.4e-3, "batch": 5e5},
        "loss_min": 2.0,
        "loss_limit": 2.005,
        "lr": band,
        "batch": tokens,
        "lr_at_optimal_batch": {"low": 1.1e-3, "high": 1.9e-3},
        "batch_at_optimal_lr": None,
        "lr_at_batch": {"batch": 2.0**19, "low": None, "high": None},
        "batch_at_lr": {"lr": 1e-3, "low": 3e5, "high": 4e5},
        "area_octaves2": 1.57,
        "open_edges": ["lr_high"],
        "interval": {
            "level": 0.9,
            "lr_low": [9e-4, 1.1e-3],
            "lr_high": [1.9e-3, 2.1e-3],
            "batch_low": None,
            "batch_high": None,
        },
        "robust": {
            "probability": 0.9,
            "max_probability": 0.97,
            "lr": band,
            "batch": None,
            "pieces": 2,
        },
        "stability": {
            "probability": 0.01,
            "octaves_to_edge": 1.5,
            "p_max": 0.05,
            "cuts": ["lr_high"],
        },
    }
    text = " ".join(rendered(document, answers.plateau).split())
    for part in (
        "Plateau within 0.25 % for 1.07B parameters, 100B tokens",
        "lr 1e-3 to 2e-3 (1 octaves)",
        "batch 262K to 1.05M (2 octaves)",
        "lr at 524,288 tokens none",
        "batch at lr 1e-3 300K to 400K",
        "2.0000 at the optimum, up to 2.0050 on the plateau",
        "lr low, 90 % interval 9e-4 to 1.1e-3",
        "lr high, 90 % interval 1.9e-3 to 2.1e-3",
        "100B tokens optimum lr 1.4e-3, batch 500,000 tokens lr 1e-3 to",
        "robust lr 1e-3 to 2e-3",
        "robust means inside in 90 % of draws; the nearest of 2 pieces",
        "open edges lr_high",
        "with probability 0.01, 1.5 octaves of lr below the 5.0 % edge",
        "cut by that edge lr_high",
    ):
        assert part in text
    assert "robust batch" not in text
    document["robust"] |= {"lr": None, "max_probability": 0.62, "pieces": 0}
    document["stability"] |= {"octaves_to_edge": -0.5, "cuts": []}
    text = " ".join(rendered(document, answers.plateau).split())
    for part in (
        "inside in 90 % of draws no (lr, batch) is that safe: at most 62 %",
        "0.5 octaves of lr beyond the 5.0 % edge",
    ):
        assert part in text
    assert "cut by" not in text


def test_regret_text_starts_with_the_regret() -> None:
    document = {
        **ANSWER,
        **{"regret": 0.0048, "lr": 1e-3, "batch": 5e5, "loss": 2.11, "loss_min": 2.1},
        "interval": {"level": 0.9, "regret": [0.0, 0.01]},
        **{"inside": False, "probability_inside": 0.2, "stability": None},
    }
    text = rendered(document, answers.regret)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[1] == "regret 0.48 %"
    assert "at most, 90 % sure 1.0 %" in lines
    assert "on the plateau no" in lines


@pytest.mark.parametrize("render", [answers.optimum, answers.plateau, answers.regret])
def test_text_of_unknown_values_says_so(render: Callable[..., Any]) -> None:
    assert "unknown" in rendered({"schema": 1, "status": "no_optimum"}, render)


def test_evaluate_text_has_cells_and_figures() -> None:
    score = {"mean": 0.00123, "median": 0.001, "max": 0.002, "se": 0.0001}
    cell = {"recipe": "a", "params": 1e9, "tokens": 2e10, "runs": 7, "lr": 1e-3}
    document = {
        **ANSWER,
        **{"runs": 7, "runs_diverged": 1, "r2": 0.99, "mae": 0.01, "rmse": 0.02},
        **{"bias": 0.0, "spearman": None, "regret": score, "regret_smoothed": None},
        "cells": [{**cell, "regret": 0.00123}],
        "band": {"tol": 0.0025, "precision": 0.9, "recall": None},
    }
    text = " ".join(rendered(document, tables.evaluate).split())
    assert "regret, mean 0.12 ± 0.01 %" in text
    assert "smoothed, mean not known: too few runs near" in text
    assert "a 1B 20B 7 1e-3 unknown unknown unknown 0.12 %" in text


def test_bar_draws_nothing_where_there_is_no_terminal(capsys: Capture) -> None:
    bar = Bar()
    bar.advance(1)
    for stage in ("search", "resample"):
        bar.start(stage, 2)
        bar.advance(2)
    bar.stop()
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
