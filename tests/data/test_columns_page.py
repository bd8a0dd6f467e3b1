"""docs/columns.md is what the table of names gives, and no name has two meanings."""

from __future__ import annotations

import importlib
from collections import Counter
from pathlib import Path

import pytest

from surrogate.data.readers.columns.roles import ALIASES_BY_SOURCE, fold, role_of

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_what_the_table_gives() -> None:
    page = (ROOT / "docs" / "columns.md").read_text(encoding="utf-8")
    assert page == importlib.import_module("columns_page").page(), (
        "run `python scripts/columns_page.py`"
    )


def test_every_name_has_one_meaning_and_is_found_by_itself() -> None:
    names = Counter(name for alias in ALIASES_BY_SOURCE for name in alias.names)
    assert {name for name, count in names.items() if count > 1} == set()
    for alias in ALIASES_BY_SOURCE:
        assert alias.source
        for name in alias.names:
            assert role_of(name) == alias.role
            assert role_of(name.upper().replace("_", " ")) == alias.role
            assert role_of(f"config.{name}") == alias.role


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("config.learning_rate", "learning_rate"),
        ("config/optimizer.lr", "lr"),
        ("params_lr", "lr"),
        ("params.learning_rate", "learning_rate"),
        ("user_attrs_n_params", "n_params"),
        ("metrics.val_loss", "val_loss"),
        ("summary.eval/loss", "eval_loss"),
        ("val/loss", "val_loss"),
        ("tags.mlflow.runName", "tags_mlflow_runname"),
        ("Final Val Loss", "final_val_loss"),
        ("model_params", "model_params"),
        ("data.data_size", "data_size"),
        ("params", "params"),
        ("config.params", "params"),
        ("D/N", "d_n"),
        ("", ""),
        ("...", ""),
        ("trainer.max_steps", "max_steps"),
        ("gradient-accumulation steps", "gradient_accumulation_steps"),
    ],
)
def test_prefixes_and_spelling_do_not_matter(name: str, folded: str) -> None:
    assert fold(name) == folded


@pytest.mark.parametrize(
    "name", ["_step", "_runtime", "train/grad_norm", "lr_end_factor", "val/acc", "x.y"]
)
def test_other_names_are_no_role(name: str) -> None:
    assert role_of(name) is None
