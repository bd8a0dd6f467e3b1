"""A fit on disk: the same answers after loading, and no trust in what was changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import fit as fit_support

from surrogate.answers import Fit, load
from surrogate.base.errors import DataError
from surrogate.data import Dropped, Runs, Source
from surrogate.storage import archive

ASK: dict[str, Any] = {"params": 3.3e8, "tokens": 1.7e10}
COLUMNS = ("lr", "batch", "params", "tokens", "loss", "recipe", "name")
MARKS = ("diverged", "lr_level", "cell")


@pytest.fixture(scope="module")
def fitted() -> Fit:
    return fit_support.quadratic()


@pytest.fixture
def folder(fitted: Fit, tmp_path: Path) -> Path:
    fitted.save(tmp_path / "fit")
    return tmp_path / "fit"


def check_same(one: Fit, other: Fit) -> None:
    for name in ("theta", "draws", "leaves"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
        assert getattr(one, name).shape == getattr(other, name).shape
    assert one.family == other.family
    assert one.features == other.features
    assert (one.noise, one.stability) == (other.noise, other.stability)
    assert one.cells == other.cells
    assert one.scores == other.scores
    assert one.provenance == other.provenance
    assert (one.loss_kind, one.params_kind) == (other.loss_kind, other.params_kind)
    assert one.is_converged == other.is_converged
    assert one.warnings == other.warnings


def test_a_loaded_fit_is_the_fit(fitted: Fit, folder: Path) -> None:
    found = load(folder)
    check_same(fitted, found)
    # Runs, a level and two drifts a cell, halves along two settings.
    assert found.leaves.shape == (240 + 8 * 3 + 2, found.family.size)
    assert fitted.optimum(**ASK) == found.optimum(**ASK)
    assert fitted.summary_json() == found.summary_json()
    json.dumps(found.summary_json(), allow_nan=False)


def test_runs_come_back_with_all_they_hold(tmp_path: Path) -> None:
    """A row dropped, a diverged run without a loss, names, recipes and a scale."""
    table = fit_support.table(sizes=fit_support.SIZES[:3])
    size = len(table["lr"])
    table["loss"][7] = np.nan
    runs = Runs.from_arrays(
        **table,
        recipe=np.where(np.arange(size) < size // 3, "Größe, 'x'", "b\n"),
        name=[f"run {i}" for i in range(size)],
        scales={"active": table["params"] / 3},
        diverged=np.arange(size) == 7,
        loss_kind="validation",
        params_kind="total",
        dropped=[Dropped("a.csv", 4, "lr", "x", "not a number")],
        notes=["converted"],
        sources=[Source("a.csv", "0" * 64, size + 1)],
    )
    made = replace(fit_support.exact(), runs=runs)
    made.save(tmp_path / "fit")
    loaded = load(tmp_path / "fit")
    check_same(made, loaded)
    assert loaded.draws.shape == (0, made.family.size)
    found = loaded.runs
    assert found is not None
    for name in COLUMNS + MARKS:
        np.testing.assert_array_equal(getattr(found, name), getattr(runs, name))
        assert getattr(found, name).dtype == getattr(runs, name).dtype
    np.testing.assert_array_equal(found.scales["active"], runs.scales["active"])
    for name in ("dropped", "notes", "sources", "warnings", "loss_kind", "params_kind"):
        assert getattr(found, name) == getattr(runs, name)
    assert len(found.cells) == len(runs.cells)


def test_the_manifest_says_what_a_reader_wants(folder: Path, fitted: Fit) -> None:
    document = json.loads((folder / "manifest.json").read_text())
    assert document["schema"] == 1
    assert document["family"] == "quadratic"
    assert document["k"] is None
    assert document["units"]["batch"] == "tokens per optimiser step"
    assert document["standardisation"]["choices"] == ["lr", "batch"]
    assert document["provenance"]["seed"] == 0
    assert document["provenance"]["versions"]["jax"]
    assert len(document["cells"]) == len(fitted.cells)


def test_a_bundled_fit_carries_no_losses() -> None:
    found = fit_support.bundled()
    assert found.runs is None
    manifest, arrays = archive.read(archive.locate("bundled:steplaw-dense")[0])
    assert arrays.keys() == {"theta", "draws", "leaves"}
    assert manifest["runs"] is None
    assert not any("loss" in cell for cell in manifest["cells"])
    assert len(found.cells) == 17
    assert sum(cell.runs for cell in found.cells) == found.provenance.runs == 1911
    assert found.provenance.sources[0]["sha256"]


def test_a_folder_that_hides_a_bundled_fit_warns(
    fitted: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fitted.save("steplaw-dense")
    found = load("steplaw-dense")
    assert found.family.name == "quadratic"
    assert "is both a folder here and a bundled fit" in found.warnings[0]
    assert found.warnings[1:] == fitted.warnings
    assert load("bundled:steplaw-dense").family.name == "bowl"


def test_overwrite_replaces_the_fit(folder: Path, fitted: Fit) -> None:
    with pytest.raises(DataError, match="pass --overwrite"):
        fitted.save(folder)
    fit_support.exact().save(folder, overwrite=True)
    check_same(load(folder), fit_support.exact())


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    file = folder / "manifest.json"
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document | {"sha256": archive.seal(document)}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda d: d.update(family="spline"),
            "family must be .* and is 'spline'",
        ),
        (
            lambda d: d.update(
                family="bowl", members=[{"family": "quadratic", "k": None}]
            ),
            "ValueError: no member is called 'bowl'",
        ),
        (lambda d: d.pop("noise"), "manifest must have noise"),
        (
            lambda d: d.update(noise={"cell": 1}),
            "noise must have floor",
        ),
        (
            lambda d: d.update(standardisation=[]),
            "does not describe .*must be an object",
        ),
        (
            lambda d: d["standardisation"].update(run_leverage=None),
            "does not describe a fit",
        ),
        (lambda d: d["cells"][0].pop("lr"), "does not describe a fit: .*must have"),
        (lambda d: d["runs"].update(loss_kind="x"), "does not describe a fit"),
        (
            lambda d: d["standardisation"].update(recipes=["", "b"]),
            r"expected 20 parameters, got theta of shape \(1, 15\)",
        ),
    ],
)
def test_a_manifest_that_describes_no_fit(
    folder: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    edit(folder, change)
    with pytest.raises(DataError, match=message):
        load(folder)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("theta", np.full(15, np.nan)),
        ("draws", np.full((3, 15), np.inf)),
        ("theta", np.zeros(15, np.float32)),
    ],
)
def test_arrays_that_no_fit_would_have(
    fitted: Fit, folder: Path, name: str, array: np.ndarray
) -> None:
    """Written by hand with digests that agree."""
    manifest, arrays = archive.read(folder)
    document = {k: v for k, v in manifest.items() if k not in ("schema", "files")}
    archive.write(folder, document, arrays | {name: array}, overwrite=True)
    # With type checks on, a float32 does not get as far as the check.
    message = f"expected finite float64 in {name}|Type-check error"
    with pytest.raises(DataError, match=message):
        load(folder)
