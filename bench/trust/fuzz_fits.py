"""Fits that are fuzzed: manifests alone, saved folders, and what was sealed anew."""

from __future__ import annotations

import copy
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from surrogate.answers import Fit, load, schema
from surrogate.answers.expected import Unlike
from surrogate.base.errors import DataError
from surrogate.storage import archive
from surrogate.storage.sealed import seal
from surrogate.views.explorer import page
from surrogate.views.explorer.document import document as page_document
from trust.fuzz_case import Case, Fault, told

WRONG: tuple[Any, ...] = (
    *(None, True, "x", -1, 0, 1e300, 10**30, [], {}, [1, "a"], {"a": 1}, 0.5, "nan"),
    *(float("inf"), [[[]]], "\ud800", "x" * 5000, -1e-300, 2**64),
)


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items: Any = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, item in items:
        found.append((*at, key))
        if isinstance(item, dict | list):
            found += _places(item, (*at, key))
    return found


def forged(document: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """A manifest with some values replaced, removed or exchanged."""
    found = copy.deepcopy(document)
    for _ in range(dice.randint(1, 3)):
        places = [at for at in _places(found) if at[0] not in ("files", "sizes")]
        at = dice.choice(places)
        inner: Any = found
        for key in at[:-1]:
            inner = inner[key]
        if dice.random() < 0.2:
            del inner[at[-1]]
        else:
            inner[at[-1]] = copy.deepcopy(dice.choice(WRONG))
    return found


def manifests(_: Path) -> Case:
    """Manifests of a bundled fit, forged, against the schema."""
    source = archive.locate("bundled:steplaw-dense")[0]
    document = json.loads((source / archive.MANIFEST).read_text(encoding="utf-8"))
    document["provenance"]["selection"] = None

    def run(dice: random.Random, _: int) -> int:
        try:
            schema.check(forged(document, dice))
        except Unlike as error:
            return told(error, 400)
        return 0

    return Case(run)


def folders(folder: Path) -> Case:
    """A saved fit with a byte flipped, a file cut, gone, longer or forged and sealed.

    What loads answers as the intact one, unless it was sealed anew.
    """
    source = archive.locate("bundled:steplaw-dense")[0]
    sizes: dict[str, Any] = {"params": 1e9, "tokens": 2e10}
    right = load(source).optimum(**sizes).to_json()
    files = sorted(f.relative_to(source) for f in source.rglob("*") if f.is_file())
    document = json.loads((source / archive.MANIFEST).read_text(encoding="utf-8"))

    def run(dice: random.Random, _: int) -> int:
        goal = folder / "fit"
        shutil.rmtree(goal, ignore_errors=True)
        shutil.copytree(source, goal)
        file, kind = goal / dice.choice(files), dice.randrange(7)
        data = bytearray(file.read_bytes())
        if kind == 0 and data:
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        elif kind == 1:
            data = data[: dice.randint(0, len(data))]
        elif kind == 2:
            data += dice.randbytes(dice.randint(1, 99))
        file.write_bytes(data)
        if kind == 3:
            file.unlink()
        elif kind == 4:
            file.rename(file.with_name("moved"))
        elif kind == 5:
            made = forged(document, dice)
            made["sha256"] = seal(made)
            (goal / archive.MANIFEST).write_text(json.dumps(made), encoding="utf-8")
        try:
            fit = load(goal)
            answer = fit.optimum(**sizes).to_json()
        except DataError as error:
            if kind == 6:
                raise Fault(f"an intact fit is refused: {error}") from error
            return told(error)
        if kind != 5 and answer != right:
            raise Fault(f"a damaged {file.name} answers otherwise")
        return 0

    return Case(run)


def manifests_sealed(folder: Path) -> Case:
    """Bundled fits with a forged manifest, sealed anew: every verb is asked."""
    sources = [
        archive.locate(f"bundled:{name}")[0]
        for name in ("steplaw-dense", "steplaw-moe", "openeurollm-dense")
    ]

    def run(dice: random.Random, _: int) -> int:
        source, goal = dice.choice(sources), folder / "sealed"
        shutil.rmtree(goal, ignore_errors=True)
        shutil.copytree(source, goal)
        file = goal / archive.MANIFEST
        made = forged(json.loads(file.read_text(encoding="utf-8")), dice)
        made["sha256"] = seal(made)
        file.write_text(json.dumps(made), encoding="utf-8")
        try:
            fit = load(goal)
        except DataError as error:
            return told(error)
        for verb in _verbs(fit):
            try:
                json.dumps(verb())
            except DataError as error:
                told(error)
        return 0

    return Case(run)


def _verbs(fit: Fit) -> list[Callable[[], Any]]:
    """What a fit can be asked, at one size."""
    sizes: dict[str, Any] = {"params": 1e9, "tokens": 2e10}
    sizes["scales"] = dict.fromkeys(fit.scale_names, 3e8)
    choice: dict[str, Any] = {"lr": 1e-3, "batch": 5e5}
    return [
        lambda: fit.optimum(**sizes).to_json(),
        lambda: fit.plateau(**sizes).to_json(),
        lambda: fit.regret(**sizes, **choice).to_json(),
        lambda: fit.next_runs(**sizes, budget=1e20).to_json(),
        lambda: fit.predict(**sizes, **choice).to_json(),
        fit.summary_json,
        lambda: page.embedded(page_document(fit, None, "FIT")),
    ]
