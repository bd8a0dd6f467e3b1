"""What people type for sizes, settings and tolerances: meant, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from surrogate.base.errors import DataError
from surrogate.cli import typing_numbers
from surrogate.cli.main import main

Capture = pytest.CaptureFixture[str]


def params(text: str) -> float:
    return typing_numbers.count(text, what="--params")


def tokens(text: str) -> float:
    return typing_numbers.tokens(text, 7e9)


MEANT: list[tuple[Callable[[str], object], str, object]] = [
    (params, "7B", 7e9),
    (params, "7b", 7e9),
    (params, "7 B", 7e9),
    (params, "1.07bn", 1.07e9),
    (params, "7e9", 7e9),
    (params, "7000000000", 7e9),
    (params, "7,000,000,000", 7e9),
    (params, "7_000_000_000", 7e9),
    (params, "350m", 3.5e8),
    (params, "7 billion", 7e9),
    (params, "7B params", 7e9),
    (params, "2^33", 2.0**33),
    (tokens, "2T", 2e12),
    (tokens, "2t", 2e12),
    (tokens, "300BT", 3e11),
    (tokens, "300B tokens", 3e11),
    (tokens, "20x", 1.4e11),
    (tokens, "20 x N", 1.4e11),
    (tokens, "20N", 1.4e11),
    (tokens, "20 tokens per parameter", 1.4e11),
    (tokens, "1.4e12", 1.4e12),
    (typing_numbers.batch, "4Mi", 2.0**22),
    (typing_numbers.batch, "4mi", 2.0**22),
    (typing_numbers.batch, "512K", 512_000.0),
    (typing_numbers.batch, "4M", 4e6),
    (typing_numbers.batch, "1024*4096", 2.0**22),
    (typing_numbers.batch, "1024 x 4096", 2.0**22),
    (typing_numbers.batch, "1024X4Ki", 2.0**22),
    (typing_numbers.batch, "2**22", 2.0**22),
    (typing_numbers.batch, "2^22", 2.0**22),
    (typing_numbers.batch, "4194304 tokens", 2.0**22),
    (typing_numbers.lr, "3e-4", 3e-4),
    (typing_numbers.lr, "3E-4", 3e-4),
    (typing_numbers.lr, ".0003", 3e-4),
    (typing_numbers.lr, "3x10^-4", 3e-4),
    (typing_numbers.lr, "3e\N{EN DASH}4", 3e-4),
    (typing_numbers.tolerance, "0.25%", 0.0025),
    (typing_numbers.tolerance, "0.25 %", 0.0025),
    (typing_numbers.tolerance, "0.0025", 0.0025),
    (typing_numbers.tolerance, "5%tokens", typing_numbers.TokensShare(0.05)),
    (typing_numbers.tolerance, "5% of the tokens", typing_numbers.TokensShare(0.05)),
]


@pytest.mark.parametrize(("parse", "text", "value"), MEANT)
def test_read_as_meant(
    parse: Callable[[str], object], text: str, value: object
) -> None:
    assert parse(text) == value


REFUSED: list[tuple[Callable[[str], object], str, str]] = [
    (params, "20x", "and --tokens 20x beside --params"),
    (params, "7Q", "Suffixes are K, M, B, T"),
    (params, "7,000", "Write it without separators: 7000"),
    (params, "7B2T", "expected a number such as 1e9, 7B"),
    (params, "0.5", "Write 1e9 or 1B"),
    (tokens, "2T/7B", "expected a number such as"),
    (tokens, "-2T", "above 0"),
    (
        typing_numbers.batch,
        "512k",
        r"512K \(512,000 tokens\) or 512Ki \(524,288 tokens\)",
    ),
    (
        typing_numbers.batch,
        "4m",
        r"4M \(4,000,000 tokens\) or 4Mi \(4,194,304 tokens\)",
    ),
    (typing_numbers.batch, "1024 sequences", "Write 1024x4096"),
    (typing_numbers.batch, "1024 seqs", "Write 1024x4096"),
    (typing_numbers.batch, "2x3x4", "Write 524288 or 256x2048"),
    (typing_numbers.batch, "4MiB", "Did you mean 4Mi?"),
    (typing_numbers.lr, "3e4", "Did you mean 3e-4"),
    (typing_numbers.lr, "0,0003", r"Write 0\.0003"),
    (typing_numbers.lr, "1/3000", "such as 3e-4"),
    (typing_numbers.lr, "5%", "not a percentage"),
    (typing_numbers.tolerance, "0.25", r"--tol 0\.25% or --tol 25%"),
    (typing_numbers.tolerance, "25bp", r"Write 0\.25%"),
    (typing_numbers.tolerance, "2.5\N{PER MILLE SIGN}", r"Write 0\.25%"),
    (typing_numbers.tolerance, "200%tokens", "above 0% and below 100%"),
]


@pytest.mark.parametrize(("parse", "text", "message"), REFUSED)
def test_refused_with_the_line_to_type(
    parse: Callable[[str], object], text: str, message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


def test_a_ratio_needs_params() -> None:
    with pytest.raises(DataError, match="expected --params with it"):
        typing_numbers.tokens("20x", None)


def answer(capsys: Capture, *arguments: str) -> dict:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_commands_read_what_is_typed(capsys: Capture) -> None:
    fit = "bundled:steplaw-dense"
    strict = answer(capsys, "plateau", fit, "--params", "1B", "--tokens", "20B")
    loose = answer(capsys, "plateau", fit, "--params", "1b", "--tokens", "20x")
    assert loose == strict
    size = ("--params", "1b", "--tokens", "20bt")
    mine = ("--lr", "1E-3", "--batch", "256 * 2048")
    assert answer(capsys, "regret", fit, *size, *mine)["batch"] == 2.0**19
    assert answer(capsys, "optimum", fit, *size, "--batch", "2^19")["batch"] == 2.0**19


def test_a_tolerance_in_tokens_is_converted_once(capsys: Capture) -> None:
    fit = ("bundled:steplaw-dense", "--params", "1B", "--tokens", "20B")
    found = answer(capsys, "plateau", *fit, "--tol", "5%tokens")
    assert found["price"]["tokens_share"] == pytest.approx(0.05, abs=1e-9)
    assert 0.002 < found["tol"] < 0.003
    assert main(["plateau", *fit, "--tol", "99%tokens"]) == 2
    said = capsys.readouterr().err
    assert "a tolerance that the runs can price" in said
    assert "such as 0.25%" in said
