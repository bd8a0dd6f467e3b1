"""The page: assets joined into one file that asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from surrogate.answers import Fit
from surrogate.answers.arguments import FIT
from surrogate.base.arguments import checked
from surrogate.base.errors import DataError
from surrogate.base.files import write_whole
from surrogate.data import Runs
from surrogate.data.arguments import RUNS
from surrogate.storage.archive import as_json, shown
from surrogate.views.explorer import document, squeeze

# In the order in which they build on one another; the first compute, without a document
# to draw on, and run under node too.
CORE = (
    "family.js",
    "solve.js",
    "plateau.js",
    "outline.js",
    "robust.js",
    "innerbox.js",
    "robustbox.js",
    "units.js",
    "told.js",
    "loose.js",
    "beyond.js",
    "answer.js",
    "solved.js",
    "price.js",
    "typed.js",
    "trust.js",
    "decide.js",
    "trail.js",
    "alone.js",
    "carried.js",
    "text.js",
    "typing.js",
    "state.js",
    "session.js",
    "configs.js",
    "sentence.js",
)
SCRIPTS = (
    *CORE,
    "dom.js",
    "chart.js",
    "bracket.js",
    "tip.js",
    "map.js",
    "trailview.js",
    "mapview.js",
    "profiles.js",
    "plane.js",
    "ladder.js",
    "curves.js",
    "cells.js",
    "runs.js",
    "residuals.js",
    "tables.js",
    "takeaway.js",
    "second.js",
    "worker.js",
    "page.js",
)
_SUFFIXES = (".html", ".htm")
_SLOT = re.compile(r"\{\{(\w+)\}\}")


class Page(NamedTuple):
    """A page and what it holds.

    Attributes:
        html: the file's text.
        counts: draws and runs in it, and of how many.
    """

    html: str
    counts: dict[str, int]


@checked(fit=FIT, runs=RUNS)
def build(fit: Fit, *, runs: Runs | None = None, name: str = "FIT") -> Page:
    """The explorer of a fit as one HTML document.

    Args:
        fit: what answers.
        runs: measured runs to show; default the fit's own, which a bundled fit lacks.
        name: what its commands call the fit.

    Raises:
        DataError: the runs have a recipe that the fit lacks, or lack a scale.
    """
    told = document.document(fit, fit.runs if runs is None else runs, name)
    script = f"(() => {{\n'use strict';\n{joined(SCRIPTS)}\nbegin();\n}})();\n"
    style = squeeze.style(_asset("style.css"))
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "img-src data:; worker-src blob:; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": policy,
        "style": style,
        "data": embedded(told),
        "script": script,
    }
    html = _SLOT.sub(lambda slot: parts[slot[1]], _asset("page.html"))
    return Page(html, document.with_counts(told))


@checked(fit=FIT, runs=RUNS)
def write(
    fit: Fit,
    path: str | Path,
    *,
    runs: Runs | None = None,
    name: str = "FIT",
    overwrite: bool = False,
) -> Page:
    """Write the explorer of a fit to one HTML file, whole or not at all.

    Args:
        fit: what answers.
        path: the file.
        runs: measured runs to show; default the fit's own, which a bundled fit lacks.
        name: what its commands call the fit.
        overwrite: replace a file that is there.

    Raises:
        DataError: the file is there, or cannot be written; or as `build`.
    """
    check_out(path, overwrite=overwrite)
    page = build(fit, runs=runs, name=name)
    # Resolved, so that a link stays one and what it leads to is replaced.
    file = Path(path).resolve()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, page.html.encode())
    except OSError as error:
        raise DataError(
            f"Cannot write to {shown(path)}: {error.strerror}. Name another --out."
        ) from error
    return page


def check_out(path: str | Path, *, overwrite: bool) -> None:
    """Refuse a file that must not be written.

    Raises:
        DataError: it is a folder, or is there and `overwrite` is False.
    """
    file = Path(path)
    if file.is_dir():
        raise DataError(
            f"Expected --out to be a file such as report.html, but {shown(path)} is a "
            "folder."
        )
    if file.suffix.lower() not in _SUFFIXES:
        raise DataError(
            f"Expected --out to be a page, whose name ends in .html, got {shown(path)}."
            " Figures are `surrogate plot`'s."
        )
    if not overwrite and (file.exists() or file.is_symlink()):
        raise DataError(
            f"Expected --out to be new, but {shown(path)} exists. Name another file, "
            "or pass --overwrite to replace it."
        )


def joined(names: tuple[str, ...]) -> str:
    """Scripts one after another, without comments and needless spaces."""
    return "\n".join(squeeze.script(_asset(name)) for name in names)


def embedded(told: Any) -> str:
    """JSON that no HTML parser can take for markup, whatever its strings hold.

    Floats are written so that they read back exactly; all but ASCII is escaped, and so
    is what could end or open an element.
    """
    text = json.dumps(as_json(told), allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _asset(name: str) -> str:
    return (resources.files("surrogate.views.explorer") / "assets" / name).read_text(
        "utf-8"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
