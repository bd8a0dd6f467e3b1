"""The nearest cell: one rule for answers, figures and the page."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from support import fit as fit_support
from support import report as report_support

from surrogate import Fit
from surrogate.answers.nearest import nearest_cell
from surrogate.answers.question import SMALL, Asked, Question, ask
from surrogate.answers.solved import nearest_level
from surrogate.fitting.model import CellRecord
from surrogate.views.plots import numbers


def cell_at(recipe: str, params: float, tokens: float, active: float) -> CellRecord:
    return CellRecord(
        recipe=recipe,
        params=float(params),
        tokens=float(tokens),
        scales={"active": float(active)},
        runs=1,
        diverged=0,
        lr=(1e-3,),
        batch=(2.0**19,),
    )


def numbered(cells: list[CellRecord]) -> Fit:
    """A fit whose cell k has batch k + 1, so that an answer tells its cell."""
    known = [replace(c, batch=(k + 1.0,), lr=(k + 1.0,)) for k, c in enumerate(cells)]
    return replace(fit_support.rich(), cells=tuple(known), runs=None)


def about(
    fit: Fit, params: float, tokens: float, active: float, recipe: str
) -> Question:
    scales = {"active": float(active)}
    return ask(fit, Asked(params, tokens, scales, recipe, allow=(SMALL,)))


def random_cells(rng: np.random.Generator) -> list[CellRecord]:
    """On a coarse lattice, so that many questions are as far from several of them."""
    steps = rng.integers(0, 4, (30, 3))
    recipes = rng.choice(["adamw", "muon"], 30)
    return [
        cell_at(str(recipe), 1e8 * 4.0**i, 1e9 * 4.0**j, 512 * 2.0**k)
        for recipe, (i, j, k) in zip(recipes, steps.tolist(), strict=True)
    ]


def random_questions(fit: Fit, rng: np.random.Generator) -> list[Question]:
    """Half of them anywhere, half in the middle between places of the lattice."""
    anywhere, between = rng.uniform(-1, 5, (40, 3)), rng.integers(-1, 8, (40, 3)) / 2
    recipes = rng.choice(["adamw", "muon"], 80).tolist()
    places = np.concatenate([anywhere, between]).tolist()
    return [
        about(fit, 1e8 * 4**i, 1e9 * 4**j, 512 * 2**k, recipe)
        for recipe, (i, j, k) in zip(recipes, places, strict=True)
    ]


def by_the_definition(cells: list[CellRecord], asked: Question) -> int:
    """A loop over cells: the first whose squared distance no other's undercuts."""
    best, least = -1, math.inf
    for k, cell in enumerate(cells):
        square = (
            math.log(cell.params / asked.params) ** 2
            + math.log(cell.tokens / asked.tokens) ** 2
            + math.log(cell.scales["active"] / asked.scales["active"]) ** 2
        )
        if cell.recipe == asked.recipe and square < least - 1e-7:
            best, least = k, square
    return best


def test_answers_figures_and_page_name_the_same_cell() -> None:
    rng = np.random.default_rng(11)
    for _ in range(5):
        cells = random_cells(rng)
        fit = numbered(cells)
        asked = random_questions(fit, rng)
        wanted = [by_the_definition(cells, question) for question in asked]
        assert [nearest_cell(fit.cells, q) for q in asked] == wanted
        assert [nearest_level(q, "batch") - 1 for q in asked] == wanted
        shown = [numbers.nearest(fit, question, None) for question in asked]
        assert [n.batch[0] - 1 for n in shown if n is not None] == wanted
        if report_support.NODE is not None:
            assert page_cells(cells, asked) == wanted


def page_cells(cells: list[CellRecord], asked: list[Question]) -> list[int]:
    """The same by the page's own function, under node."""
    keys = ("recipe", "params", "tokens", "scales")
    given = {
        "cells": [{key: getattr(c, key) for key in keys} for c in cells],
        "asked": [{key: getattr(q, key) for key in keys} for q in asked],
    }
    script = """
      return given.asked.map((q) => given.cells.indexOf(nearestCell(given.cells, q)));
    """
    return report_support.run_core(script, given)


def test_page_holds_what_answers_hold_of_many_cells_and_levels() -> None:
    """The page once knew the first 200 cells and 50 levels of each."""
    rng = np.random.default_rng(12)
    levels = tuple(np.geomspace(1e4, 1e6, 81).tolist())
    cells = [
        replace(cell_at("", n, d, 1.0), scales={}, batch=levels[k % 9 :: 1 + k % 2])
        for k, (n, d) in enumerate(np.exp(rng.uniform(18, 27, (300, 2))).tolist())
    ]
    alone = fit_support.lr_alone()
    features = replace(alone.features, recipes=("",))
    fit = replace(alone, cells=tuple(cells), runs=None, features=features)
    document = report_support.document(fit)
    sizes = np.exp(rng.uniform(18, 27, (60, 2))).tolist()
    asked = [ask(fit, Asked(n, d)) for n, d in sizes]
    given = {
        "document": document,
        "asked": [
            {"params": q.params, "tokens": q.tokens, "scales": {}, "recipe": ""}
            for q in asked
        ],
    }
    script = """
      const model = prepare(given.document);
      return given.asked.map((question) => heldOf(model, question).batch);
    """
    if report_support.NODE is None:
        pytest.skip("node is missing")
    held = report_support.run_core(script, given)
    assert held == [nearest_level(question, "batch") for question in asked]


def test_a_further_scale_counts_as_a_size_does() -> None:
    """Closed form: the other active is 3 octaves away, the other size 2 octaves."""
    cells = [cell_at("adamw", 1e8, 1e9, 4096), cell_at("adamw", 4e8, 1e9, 512)]
    fit = numbered(cells)
    assert nearest_level(about(fit, 1e8, 1e9, 512, "adamw"), "batch") == 2


def test_the_sum_of_squares_decides_and_not_the_largest() -> None:
    """Closed form: off by (2, 2, 2) octaves is farther than by (3, 0, 0)."""
    cells = [cell_at("adamw", 4e8, 4e9, 2048), cell_at("adamw", 8e8, 1e9, 512)]
    fit = numbered(cells)
    shown = numbers.nearest(fit, about(fit, 1e8, 1e9, 512, "adamw"), None)
    assert shown is not None
    assert shown.batch[0] == 2


def test_of_equally_near_cells_the_first_is_taken_and_no_other_recipe() -> None:
    places = list(product((1, 4), repeat=3))
    cells = [cell_at("muon", 2e8, 2e9, 1024)]
    cells += [cell_at("adamw", 1e8 * i, 1e9 * j, 512 * k) for i, j, k in places]
    fit = numbered(cells)
    asked = about(fit, 2e8, 2e9, 1024, "adamw")
    assert nearest_cell(fit.cells, asked) == 1
    assert nearest_cell(fit.cells[:1], asked) is None
