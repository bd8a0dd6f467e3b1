"""Ranges of draws: bit for bit one call, kept, shared, never mistaken for others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.fit import sweep

from surrogate.data.coordinates import Features
from surrogate.families import Posynomial, Quadratic, Shape
from surrogate.fitting import irls, ranges, resampling
from surrogate.fitting.shards import Part, Shards, digest
from surrogate.numerics import least_squares

STEP, REPLICAS = 5, 23


def solver(solved: list[tuple[int, int]], stop: int = 10**9) -> Callable[..., Part]:
    """Squares of the numbers; a signal comes before number `stop`."""

    def solve(first: int, last: int) -> Part:
        solved.append((first, last))
        if first >= stop:
            raise KeyboardInterrupt
        values = np.arange(first, min(last, stop), dtype=float) ** 2
        return Part({"values": values}, {"made": "here"}, last <= stop)

    return solve


def gather(shards: Shards, solve: Callable[..., Part], identity: str = "0" * 16):
    parts = shards.solve("squares", identity, REPLICAS, STEP, solve)
    return np.concatenate([part.arrays["values"] for part in parts])


@pytest.mark.parametrize("width", [1, 2, 9])
def test_ranges_are_solved_once_and_read_afterwards(tmp_path: Path, width: int) -> None:
    first: list[tuple[int, int]] = []
    shards = Shards(tmp_path / "fit.draws", width=width)
    np.testing.assert_array_equal(gather(shards, solver(first)), np.arange(23.0) ** 2)
    assert len(first) == -(-5 // width)
    again: list[tuple[int, int]] = []
    told: list[int] = []
    parts = shards.solve(
        "squares", "0" * 16, REPLICAS, STEP, solver(again), told.append
    )
    assert again == []
    assert sum(told) == REPLICAS
    assert all(part.about == {"made": "here"} for part in parts)
    shards.clear()
    assert not shards.folder.exists()


def test_more_replicas_go_on_from_whole_ranges(tmp_path: Path) -> None:
    shards = Shards(tmp_path / "fit.draws")
    gather(shards, solver([]))
    solved: list[tuple[int, int]] = []
    parts = shards.solve("squares", "0" * 16, 30, STEP, solver(solved))
    assert solved == [(20, 25), (25, 30)]
    values = np.concatenate([part.arrays["values"] for part in parts])
    np.testing.assert_array_equal(values, np.arange(30.0) ** 2)


@pytest.mark.parametrize("stop", [5, 7, 13])
def test_a_signal_keeps_what_is_finished(tmp_path: Path, stop: int) -> None:
    shards = Shards(tmp_path / "fit.draws", width=2)
    found = gather(shards, solver([], stop))
    np.testing.assert_array_equal(found, np.arange(float(stop)) ** 2)
    assert shards.kept() == stop // STEP
    solved: list[tuple[int, int]] = []
    np.testing.assert_array_equal(gather(shards, solver(solved)), np.arange(23.0) ** 2)
    assert solved[0][0] == stop // STEP * STEP


def test_a_signal_before_the_first_range_is_one(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        gather(Shards(tmp_path / "fit.draws"), solver([], 0))


def test_other_draws_are_not_read(tmp_path: Path) -> None:
    shards = Shards(tmp_path / "fit.draws")
    gather(shards, solver([]))
    solved: list[tuple[int, int]] = []
    gather(shards, solver(solved), "1" * 16)
    assert len(solved) == 5


@pytest.mark.parametrize("name", ["manifest.json", "arrays"])
def test_a_damaged_range_is_solved_again(tmp_path: Path, name: str) -> None:
    shards = Shards(tmp_path / "fit.draws")
    gather(shards, solver([]))
    place = next((shards.folder).glob("*/000000005-*"))
    file = place / name
    if file.is_dir():
        file = max(file.rglob("*"), key=lambda f: f.is_file() and f.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    solved: list[tuple[int, int]] = []
    np.testing.assert_array_equal(gather(shards, solver(solved)), np.arange(23.0) ** 2)
    assert solved == [(5, 10)]


def test_cheap_ranges_are_not_kept(tmp_path: Path) -> None:
    shards = Shards(tmp_path / "fit.draws", least=60.0)
    gather(shards, solver([]))
    assert not shards.folder.exists()


def test_what_is_no_range_stays(tmp_path: Path) -> None:
    shards = Shards(tmp_path / "fit.draws")
    gather(shards, solver([]))
    (shards.folder / "notes.txt").write_text("mine")
    shards.clear()
    assert [entry.name for entry in shards.folder.iterdir()] == ["notes.txt"]


def test_processes_share_and_take_over(tmp_path: Path) -> None:
    # Of three the second never comes: the others finish its ranges.
    solved: dict[int, list[tuple[int, int]]] = {0: [], 2: []}
    for process in (2, 0):
        shards = Shards(tmp_path / "d", process, 3, patience=0.0)
        found = gather(shards, solver(solved[process]))
        np.testing.assert_array_equal(found, np.arange(23.0) ** 2)
    assert solved[2][0] == (15, 20)
    assert solved[0] == []
    alone = Shards(tmp_path / "e", 0, 3, patience=0.0)
    mine: list[tuple[int, int]] = []
    gather(alone, solver(mine))
    assert mine == [(0, 5), (20, 23), (15, 20), (10, 15), (5, 10)]


def test_the_first_waits_until_the_others_have_read(tmp_path: Path) -> None:
    first = Shards(tmp_path / "d", 0, 3, patience=30.0)
    first.folder.mkdir()
    for process in (1, 2):
        Shards(tmp_path / "d", process, 3).leave()
    # Of patience 30 s nothing is waited.
    first.wait()
    first.clear()
    assert not first.folder.exists()
    Shards(tmp_path / "d", 1, 3).leave()
    assert not first.folder.exists()
    Shards(tmp_path / "d", 0, 3, patience=0.0).wait()


def test_a_digest_tells_value_type_and_shape() -> None:
    one = np.arange(4.0)
    others = [[one + 1e-16 * (one == 3)], [one.reshape(2, 2)], [one.astype(np.int64)]]
    assert len({digest([one]), *map(digest, others[1:])}) == 3
    assert digest([one]) == digest([one.copy()])
    assert digest(["a", "b"]) != digest(["ab"])


@pytest.mark.parametrize(
    "family", [Quadratic(Shape(2, 2, 0)), Posynomial(Shape(2, 2, 0), 3)]
)
def test_draws_in_ranges_are_those_of_one_call(
    tmp_path: Path, family: Quadratic | Posynomial
) -> None:
    # Bit for bit, with blocks of 64 problems and an odd number of draws.
    runs = sweep()
    runs = runs.subset(np.arange(len(runs)) % 6 == 0)
    rows = Features.of(runs).rows(runs)
    rng = np.random.default_rng(0)
    theta = 0.1 * rng.normal(size=family.size)
    weights = rng.uniform(0.5, 1.0, len(rows.target)) * 1e4
    none = np.zeros((0, family.size))

    def draw(shards: Shards | None) -> resampling.Draws:
        asked = ranges.Asked(family, rows, weights, theta, 3, 130, "numpy")
        return resampling.draw(asked, none, shards=shards)

    whole = draw(None)
    shards = Shards(tmp_path / "fit.draws")
    for _ in range(2):
        found = draw(shards)
        np.testing.assert_array_equal(found.theta, whole.theta)
        assert found._replace(theta=whole.theta) == whole
    assert shards.kept() == -(
        -130 // least_squares.aligned(family, rows.z, 17, "numpy")
    )
    place = next(shards.folder.glob("*/000000000-*"))
    assert "numpy" in json.dumps(json.loads((place / "manifest.json").read_text()))
    asked = ranges.Asked(family, rows, weights, theta, 3, 130, "numpy")
    other = asked._replace(theta=theta + 1e-12)
    assert asked.identity(64) != other.identity(64)
    assert irls.DRAW_STEPS
