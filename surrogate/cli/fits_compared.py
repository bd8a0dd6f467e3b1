"""Several fits side by side at one point, and what each says of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from surrogate.answers import Fit, Surface, load
from surrogate.base import shown
from surrogate.base.errors import DataError, Status
from surrogate.cli import documents, output
from surrogate.cli.text import common
from surrogate.cli.text.common import Document

if TYPE_CHECKING:
    from rich.console import RenderableType

MOST = 4
_TRUST = {
    "inside": "inside its data",
    "near": "near the edge of its data",
    "far": "far outside its data",
    "too_uncertain": "too uncertain",
}


def compare(names: Sequence[str], where: dict[str, Any]) -> dict[str, Any]:
    """Ask every fit the same question, and each what the others' settings lose.

    Args:
        names: of two to four fits.
        where: sizes, scales and recipe, as `Fit.at` takes them.

    Raises:
        DataError: too many fits, or one cannot be asked.
    """
    if len(names) > MOST:
        raise DataError(
            f"compare: expected up to {MOST} fits, got {len(names)}. Name fewer."
        )
    fits = [load(name) for name in names]
    surfaces = [fit.at(**_own(fit, where, fits)) for fit in fits]
    answers = [surface.plateau().to_json() for surface in surfaces]
    rows = []
    for k, (surface, answer) in enumerate(zip(surfaces, answers, strict=True)):
        loses = [
            None if j == k else _lost(surface, other["suggestion"], answer)
            for j, other in enumerate(answers)
        ]
        rows.append({"fit": names[k], "plateau": answer, "loses": loses})
    failed = [a["status"] for a in answers if Status(a["status"]).is_failed]
    first = answers[0]
    return documents.with_common_keys(
        {
            "schema": output.SCHEMA,
            **{key: first[key] for key in ("params", "tokens", "scales", "recipe")},
            "tol": first["tol"],
            "fits": rows,
            "status": failed[0] if failed else "ok",
            "warnings": documents.merged_warnings(answers),
        }
    )


def _own(fit: Fit, where: dict[str, Any], fits: Sequence[Fit]) -> dict[str, Any]:
    """The question in the words of one fit: scales and recipe that others know go."""
    known = {name for each in fits for cell in each.cells for name in cell.scales}
    mine = {name for cell in fit.cells for name in cell.scales}
    scales = {
        name: value
        for name, value in (where["scales"] or {}).items()
        if name in mine or name not in known
    }
    recipe = where["recipe"]
    if any(recipe in each.features.recipes for each in fits):
        recipe = recipe if recipe in fit.features.recipes else None
    return {**where, "scales": scales, "recipe": recipe}


def _lost(surface: Surface, setting: Document | None, own: Document) -> float | None:
    """What this fit says another's setting loses; None where one has no answer."""
    if not setting or setting.get("batch") is None or own.get("suggestion") is None:
        return None
    found = surface.regret(lr=setting["lr"], batch=setting["batch"])
    return found.to_json()["regret"]


def text_rows(document: Document) -> list[tuple[str, Callable[[Document], str]]]:
    """What is told of every fit."""
    tol = shown.percent(document["tol"])

    def box(name: str, form: Callable[[float], str]) -> Callable[[Document], str]:
        def said(answer: Document) -> str:
            found = answer.get("inner_robust") or answer.get("inner")
            return shown.span(found[name][0], found[name][1], form) if found else "none"

        return said

    def best(name: str, form: Callable[[float], str]) -> Callable[[Document], str]:
        def said(answer: Document) -> str:
            ends = (answer.get("best_interval") or {}).get(name)
            return shown.span(ends[0], ends[1], form) if ends else "unknown"

        return said

    return [
        ("use lr", lambda a: _used(a, "lr", shown.lr)),
        ("use batch", lambda a: _used(a, "batch", shown.tokens)),
        (f"within {tol}, lr", box("lr", shown.lr)),
        ("  with batch", box("batch", shown.count)),
        ("best lr, 95 %", best("lr", shown.lr)),
        ("best batch, 95 %", best("batch", shown.count)),
        ("loss there", _loss),
        ("loss of", lambda a: str(a.get("loss_kind") or "unknown").replace("_", " ")),
        ("this point is", lambda a: _TRUST.get(_level(a), "unknown")),
    ]


def _level(answer: Document) -> str:
    return str((answer.get("trust") or {}).get("level"))


def _loss(answer: Document) -> str:
    value = answer.get("loss_min")
    return "unknown" if value is None else f"{shown.loss(value)} {common.unit(answer)}"


def _used(answer: Document, name: str, form: Callable[[float], str]) -> str:
    value = (answer.get("suggestion") or {}).get(name)
    return "unknown" if value is None else form(value).removesuffix(" tokens")


def render(document: Document) -> list[RenderableType]:
    """A column a fit, then what each loses by the others."""
    fits = document["fits"]
    names = [row["fit"] for row in fits]
    rows = [
        [label, *(said(row["plateau"]) for row in fits)]
        for label, said in text_rows(document)
    ]
    for k, other in enumerate(names):
        lost = [row["loses"][k] for row in fits]
        said = ["-" if x is None else f"loses {shown.percent(x)}" for x in lost]
        rows.append([f"{other}'s choice", *said])
    return [
        common.title(f"{len(fits)} fits for {common.place(document)}"),
        common.columns(["", *names], rows, left=["", *names]),
        common.title(""),
        *map(common.plain_line, verdicts(document)),
    ]


def verdicts(document: Document) -> list[str]:
    """Whether the fits agree within the tolerance, and what to do where they do not."""
    fits, tol = document["fits"], document["tol"]
    known = [x for row in fits for x in row["loses"] if x is not None]
    if not known:
        silent = [r["fit"] for r in fits if not r["plateau"].get("suggestion")]
        named = ", ".join(silent)
        return [f"They cannot be compared: no setting is known here by {named}."]
    worst = max(known)
    if worst <= tol:
        return [
            f"They agree: by each fit the others' settings lose at most "
            f"{shown.percent(worst)}, within {shown.percent(tol)}."
        ]
    said = [
        f"They differ: a setting of one loses {shown.percent(worst)} by another, more "
        f"than {shown.percent(tol)}."
    ]
    inside = [row["fit"] for row in fits if _level(row["plateau"]) == "inside"]
    if len(inside) == 1:
        said.append(f"Only {inside[0]} has data at this size: prefer it.")
    kinds = {row["plateau"].get("loss_kind") for row in fits}
    if len(kinds) > 1:
        said.append("Their losses are of different kinds, so levels do not compare.")
    return said
