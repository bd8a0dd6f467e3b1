"""Forged manifests: what no program of ours wrote is refused in one sentence.

A seal is no signature, so each is sealed anew: a faulty writer would do as much.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.grids import table as one_size

from surrogate import DataError, fit, load
from surrogate.answers import schema
from surrogate.answers.expected import Unlike
from surrogate.storage import archive, checkpoint
from surrogate.storage.sealed import seal

# Whatever may come for a value; those of a number's own size are left out of some.
WRONG = (None, True, "x", 1e300, [1, "a", None])
# What a manifest says for people: any number, any text.
FREE = ("versions", "fit", "evidence", "lines")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's own fit, with its runs."""
    path = tmp_path_factory.mktemp("own") / "fit"
    runs = one_size(lambda x, y: 0.02 * x**2, 1, cells=2)
    fit(runs, family="quadratic", bootstrap=0).save(path)
    return path


def document(folder: Path) -> dict[str, Any]:
    return json.loads((folder / archive.MANIFEST).read_text(encoding="utf-8"))


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a document; of a list the first two."""
    if at:
        yield at
    keys = value if isinstance(value, dict) else range(min(2, len(value)))
    for key in keys:
        if isinstance(value[key], dict | list):
            yield from places(value[key], (*at, key))
        else:
            yield (*at, key)


def replaced(found: Any, at: tuple[Any, ...], value: Any) -> Any:
    """What was there; `found` has the value now."""
    for key in at[:-1]:
        found = found[key]
    before, found[at[-1]] = found[at[-1]], value
    return before


def resealed(folder: Path, found: dict[str, Any]) -> None:
    found["sha256"] = seal(found)
    (folder / archive.MANIFEST).write_text(json.dumps(found), encoding="utf-8")


@pytest.mark.parametrize("name", ["own", "steplaw-dense", "steplaw-moe"])
def test_any_value_in_any_place(name: str, saved: Path) -> None:
    folder = saved if name == "own" else archive.locate(f"bundled:{name}")[0]
    found = document(folder)
    found = {k: v for k, v in found.items() if k not in ("files", "sizes")}
    found["cells"] = found["cells"][:1]
    found["warnings"], found["provenance"]["selection"] = [], None
    found["provenance"]["runs"] = sum(cell["runs"] for cell in found["cells"])
    found["provenance"]["diverged"] = 0
    for cell in found["cells"]:
        cell |= {"unstable": cell.get("unstable", [])[:1]}
        cell |= {name: cell[name][:2] for name in ("lr", "batch")}
    schema.check(found)
    refused: list[str] = []
    taken = []
    for at in places(found):
        if at[0] in ("schema", "sha256", "scores") or "selection" in at:
            continue
        for value in WRONG:
            before = replaced(found, at, value)
            try:
                schema.check(found)
            except Unlike as error:
                refused.append(str(error))
            else:
                if before != value:
                    taken.append((at, value))
            finally:
                replaced(found, at, before)
    schema.check(found)
    assert len(refused) > 200
    assert max(map(len, refused)) < 300
    assert all(text.isprintable() for text in refused)
    # What is taken is null where that has a meaning, a text, or a number of no known
    # size; never a number where a text belongs or the other way round.
    for at, value in taken:
        is_free = any(each in at for each in FREE)
        is_empty = value in ("x", None) or at[-1] in ("scales", "about")
        assert is_free or is_empty, (at, value)


def draws_of(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Saves the fit again with other arrays."""
    manifest, arrays = archive.read(folder)
    change(arrays)
    shutil.rmtree(folder / archive.ARRAYS)
    checkpoint.save(folder / archive.ARRAYS, arrays)
    from surrogate.storage import sealed

    resealed(folder, {**manifest, **sealed.listed(folder)})


EDGE: dict[str, Any] = {
    **{"names": ["lr", "batch"], "centre": [1e-3, 1e5], "slope": [1.0, 1.0]},
    **{"intercept": 0.0, "diverged": 1, "runs": 3},
}
LAW: dict[str, Any] = {
    **{"cells": [[19.0]], "usual": 0.1, "level": 0.1, "settings": [0.1]},
    **{"freedom": 3, "regret": None, "regions": 3},
}
MANIFESTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "bits": (lambda d: d["units"].update(loss="bits per byte"), "units.loss must be"),
    "sequences": (
        lambda d: d["units"].update(batch="sequences"),
        r"units\.batch must be tokens per optimiser step, and is sequences",
    ),
    "billions": (lambda d: d["units"].update(params="billions"), "units.params must"),
    "no units": (lambda d: d.pop("units"), "manifest must have units"),
    "kind": (lambda d: d.update(loss_kind=5), "loss_kind must be train or"),
    "converged": (lambda d: d.update(is_converged="no"), "true or false, and is 'no'"),
    "warnings": (lambda d: d.update(warnings="abc"), "warnings must be a list"),
    "provenance": (lambda d: d.update(provenance=[1]), "provenance must be an object"),
    "infinite": (lambda d: d["noise"].update(cell=float("inf")), "finite numbers"),
    "noise": (lambda d: d["noise"].update(floor=-1), "noise.floor must be a number"),
    "no scale": (
        lambda d: d["standardisation"]["scale"].__setitem__(0, 0.0),
        r"scale\[0\] must be a number",
    ),
    "short": (lambda d: d["standardisation"]["mean"].pop(), "mean must have . values"),
    "reversed": (
        lambda d: d["standardisation"]["fitted"]["lr"].reverse(),
        "must have the smaller end first",
    ),
    "swapped": (
        lambda d: d["standardisation"]["choices"].append("lr"),
        "must not name anything twice",
    ),
    "no cells": (lambda d: d.update(cells=[]), "cells must not be empty"),
    "one cell more": (lambda d: d["cells"].append(d["cells"][0]), "those of the cells"),
    "diverged": (lambda d: d["cells"][0].update(diverged=99), "at most its runs"),
    "no lr": (lambda d: d["cells"][0].update(lr=[]), "must have a learning rate"),
    "edge": (
        lambda d: d.update(stability=EDGE | {"names": ["lr", "x"]}),
        r"names\[1\] must be one of the fit's, and is x",
    ),
    "edge's length": (
        lambda d: d.update(stability=EDGE | {"slope": [1.0]}),
        "slopes of one length",
    ),
    "law": (
        lambda d: d.update(discrepancy=LAW | {"cells": [[19.0], []]}),
        r"cells\[1\] must have . values",
    ),
    "law's settings": (
        lambda d: d.update(discrepancy=LAW | {"settings": []}),
        "settings must have . values, and has 0",
    ),
    "law's cells": (
        lambda d: d.update(discrepancy=LAW | {"cells": []}),
        "discrepancy.cells must not be empty",
    ),
    "deep": (lambda d: d.update(more=json.loads("[" * 99 + "]" * 99)), "32 levels"),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_forged_manifest(name: str, saved: Path, tmp_path: Path) -> None:
    change, words = MANIFESTS[name]
    folder = tmp_path / "fit"
    shutil.copytree(saved, folder)
    found = document(folder)
    change(found)
    resealed(folder, found)
    with pytest.raises(DataError, match=rf"does not describe a fit: .*{words}"):
        load(folder)


ARRAYS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "huge": (lambda a: a.update(theta=a["theta"] * 1e200), r"in theta, at most 1e\+09"),
    "nan": (lambda a: a["theta"].__setitem__(0, np.nan), "finite float64"),
    "refits": (lambda a: a.update(draws=np.zeros((3, len(a["theta"])))), "got 3"),
    "no loss": (lambda a: a["run_loss"].__setitem__(0, np.nan), "loss of every run"),
    "loss": (lambda a: a["run_loss"].__setitem__(0, 1e300), "loss of every run"),
    "fewer": (
        lambda a: a.update({k: v[1:] for k, v in a.items() if k.startswith("run_lr")}),
        "does not describe a fit",
    ),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_forged_arrays(name: str, saved: Path, tmp_path: Path) -> None:
    change, words = ARRAYS[name]
    folder = tmp_path / "fit"
    shutil.copytree(saved, folder)

    def forge(arrays: dict[str, Any]) -> None:
        arrays.update({k: v.copy() for k, v in arrays.items()})
        change(arrays)

    draws_of(folder, forge)
    with pytest.raises(DataError, match=words):
        load(folder)


def test_a_cell_has_every_scale_of_the_fit() -> None:
    found = document(archive.locate("bundled:steplaw-moe")[0])
    found["cells"][0]["scales"] = {"other": 1e8}
    with pytest.raises(Unlike, match=r"cells\[0\]\.scales must have active"):
        schema.check(found)


@pytest.mark.parametrize("name", ["\ud800", "a\x1b[31mb", "a\u202eb"])
def test_a_refusal_of_a_manifest_can_be_printed(name: str, saved: Path) -> None:
    for at in (("units",), ("units", "lr"), ("standardisation", "givens", 0)):
        found = document(saved)
        if at == ("units",):
            found["units"][name] = "x"
        else:
            replaced(found, at, name)
        with pytest.raises(Unlike) as caught:
            schema.check(found)
        assert str(caught.value).isprintable()


def test_what_later_versions_add_is_no_fault(saved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "fit"
    shutil.copytree(saved, folder)
    found = document(folder)
    resealed(folder, {**found, "later": {"a": [1, None]}})
    both = load(folder), load(saved)
    found = [each.optimum(params=1e8, tokens=2e9) for each in both]
    assert found[0].lr == found[1].lr
