"""Public models: a sourced table, and questions asked by name."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from surrogate.base.errors import DataError
from surrogate.cli.main import main
from surrogate.laws.public_models import MODELS, model, without_embeddings

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).resolve().parents[2]
DENSE = "bundled:steplaw-dense"


def test_every_model_has_a_source_and_plausible_numbers() -> None:
    assert len(MODELS) >= 15
    assert len({each.name for each in MODELS}) == len(MODELS)
    for each in MODELS:
        assert len(each.source) > 20
        assert 1e7 < each.total < 1e12
        assert 1 < each.tokens / each.total < 1e4
        assert each.lr is None or 1e-5 < each.lr < 1e-2
        assert each.batch is None or 1e6 < each.batch < 3e7
        for kind in ("total", "non_embedding", "unknown"):
            assert 0.2 * each.total < each.params(kind) <= each.total


def test_embeddings_are_counted_once_or_twice() -> None:
    """Pythia 6.9B: 2 x 50,432 x 4,096, by its card's own counts."""
    card = model("pythia-6.9b")
    found = without_embeddings(card.total, 50_432, 4096)
    assert found == card.non_embedding
    assert without_embeddings(1e9, 1e5, 1e3, tied=True) == 9e8
    with pytest.raises(DataError, match="more parameters than embeddings"):
        without_embeddings(1e8, 1e5, 1e3)


def test_names_are_forgiving_and_unknown_ones_are_listed() -> None:
    assert model(" Llama_3 8b").name == "llama-3-8b"
    with pytest.raises(DataError, match="Did you mean llama-3-8b or"):
        model("llama3-8b")
    with pytest.raises(DataError, match=r"pythia-70m, .*llama-3-8b"):
        model("zzz")


def test_the_page_is_that_of_the_table() -> None:
    module = importlib.import_module("models_page")
    assert (ROOT / "docs" / "models.md").read_text() == module.page()


def answer(capsys: Capture, *arguments: str) -> dict:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_model_fills_sizes_in_the_fit_s_own_count(capsys: Capture) -> None:
    found = answer(capsys, "optimum", DENSE, "--model", "pythia-410m")
    assert (found["params"], found["tokens"]) == (302_311_424, 299_892_736_000)
    found = answer(capsys, "optimum", DENSE, "--model", "llama-7b", "--tokens", "20x")
    assert found["params"] == 6.7e9 - 2 * 32_000 * 4096
    assert found["tokens"] == 20 * found["params"]
    whole = ("--total-params", "7B", "--vocab", "128K", "--width", "4096")
    found = answer(capsys, "optimum", DENSE, *whole, "--tokens", "2T")
    assert found["params"] == 7e9 - 2 * 128_000 * 4096
    found = answer(capsys, "optimum", DENSE, *whole, "--tied", "--tokens", "2T")
    assert found["params"] == 7e9 - 128_000 * 4096


def test_regret_of_a_model_is_of_its_makers_choice(capsys: Capture) -> None:
    found = answer(capsys, "regret", DENSE, "--model", "pythia-410m")
    assert (found["lr"], found["batch"]) == (3e-4, 2_097_152)
    found = answer(capsys, "regret", DENSE, "--model", "pythia-410m", "--lr", "1e-3")
    assert (found["lr"], found["batch"]) == (1e-3, 2_097_152)


REFUSED = [
    (("optimum", DENSE, "--model", "gpt-9"), "expected one of pythia-70m"),
    (("plateau", DENSE, "--params", "1B"), "Missing option '--tokens'"),
    (("plateau", DENSE, "--tokens", "1B"), "Missing option '--params'"),
    (("regret", DENSE, "--model", "llama-3-8b"), "Missing option '--batch'"),
    (
        ("optimum", DENSE, "--total-params", "7B", "--tokens", "2T"),
        "expected --vocab and --width",
    ),
    (("optimum", DENSE, "--tied", "--model", "llama-7b"), "with --total-params"),
    (
        ("optimum", DENSE, "--params", "1B", "--total-params", "7B"),
        "are both given",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_sizes_are_refused(
    arguments: tuple[str, ...], message: str, capsys: Capture
) -> None:
    assert main(list(arguments)) == 2
    assert message in capsys.readouterr().err


def test_models_are_listed_with_a_fit_s_opinion(capsys: Capture) -> None:
    assert main(["models"]) == 0
    plain = capsys.readouterr().out
    assert "llama-3-8b" in plain
    assert main(["models", DENSE]) == 0
    text = capsys.readouterr().out
    assert all(len(line) <= 80 for line in text.splitlines())
    row = next(line for line in text.splitlines() if line.startswith("pythia-410m"))
    assert "302M" in row
    found = answer(capsys, "models", DENSE)
    by_name = {each["name"]: each for each in found["models"]}
    assert by_name["llama-7b"]["regret"] > 0
    assert by_name["llama-3-8b"]["regret"] is None
    assert by_name["llama-3-8b"]["trust"] == "too_uncertain"


def test_the_next_command_counts_the_same_parameters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    size = "--total-params 7B --vocab 128K --width 4096 --tied"
    assert main(["plateau", DENSE, "--tokens", "2T", *size.split()]) == 0
    assert size in capsys.readouterr().out
