"""The text of law and compare: tables with lettered notes below."""

from __future__ import annotations

from collections.abc import Iterable
from string import ascii_lowercase
from typing import TYPE_CHECKING

from surrogate.cli.text import common
from surrogate.cli.text.common import Document, Number, Row

if TYPE_CHECKING:
    from rich.console import RenderableType

_SAMPLES = {"in-sample": "in", "out-of-sample": "other", "held-out": "held-out"}
_MEANING = (
    "Regret in % of the cell's lowest measured loss: mean over cells with its "
    "standard error, median, largest; smoothed: mean against a local cubic. out: "
    "proposals beyond the cell's grid, read at its nearest run.",
    "fitted: held-out, without the cell that the row is scored on; in, in-sample, on "
    "these runs (optimistic); other, on other runs.",
    "step-law-refit is Step Law's recipe refitted here, -n with N in its batch law.",
)


def listing(document: Document) -> list[RenderableType]:
    """Every law: its formulas, and why one is not evaluated."""
    laws = document["laws"]
    notes = _Notes()
    rows = [
        [
            law["name"],
            law["lr_formula"] or "-",
            law["batch_formula"] or "-",
            notes.letters([f"Not evaluated: {law['unusable']}."])
            if law["unusable"]
            else "",
        ]
        for law in laws
    ]
    names = ["law", "lr", "batch in tokens", "note"]
    legend = (
        "N parameters, D tokens, C training FLOPs, L final loss, S batch in sequences. "
        "What N and C count differs: `surrogate law NAME --params N --tokens D` and "
        "docs/laws.md tell."
    )
    return [
        common.title("Published laws"),
        common.columns(names, rows, left=names),
        *notes.lines(),
        common.title(""),
        _plain(legend),
    ]


def law(document: Document) -> list[RenderableType]:
    """What a law says at one point, and what it is."""
    rows: list[Row] = [
        (name, form(document[name]))
        for name, form in (("lr", common.lr), ("batch", common.batch))
        if document[f"{name}_formula"]
    ]
    rows += [
        (f"{name} formula", document[f"{name}_formula"])
        for name in ("lr", "batch")
        if document[f"{name}_formula"]
    ]
    rows.append(("its N", document["params_kind"].replace("_", "-")))
    if document["compute"] is not None:
        rows.append(("compute", f"{document['compute']:.4g} FLOPs"))
    rows.append(("fitted under", document["setting"]))
    inside = (document["extrapolation"] or {}).get("inside")
    known = {None: "not known to us", True: "inside", False: "outside"}
    rows.append(("fitted range", known[inside]))
    rows += [
        ("source", f"{s['title']}, {s['where']}: {s['url']}")
        for s in document["source"]
    ]
    rows.append(("checked", document["checked"]))
    rows += [("misprint", each) for each in document["misprints"]]
    rows += [("note", each) for each in document["notes"]]
    return [
        common.title(f"{document['title']} for {common.place(document)}"),
        common.grid(rows),
    ]


def cells(document: Document) -> list[RenderableType]:
    """Regret of every law on the same cells."""
    notes = _Notes()
    scored = [law for law in document["laws"] if law["reason"] is None]
    rows = [
        [
            law["name"],
            _SAMPLES[law["sample"]],
            _bare(_mean(law["regret"])),
            _bare(_share((law["regret"] or {}).get("median"))),
            _bare(_share((law["regret"] or {}).get("max"))),
            _bare(_share((law["regret_smoothed"] or {}).get("mean"))),
            "-" if law["outside_grid"] is None else str(law["outside_grid"]),
            notes.letters(law["warnings"]),
        ]
        for law in scored
    ]
    names = ["law", "fitted", "regret, %", "median", "max", "smoothed", "out", "note"]
    heading = (
        f"Published laws and the surrogate ({document['family']}) on "
        f"{document['cells']} cell{'' if document['cells'] == 1 else 's'} of "
        f"{document['runs']:,} runs"
    )
    return [
        common.title(heading),
        common.columns(names, rows, left=["law", "fitted", "note"]),
        *notes.lines(),
        *_refused(document["laws"]),
        common.title(""),
        *map(_plain, _MEANING),
    ]


def point(document: Document) -> list[RenderableType]:
    """Every law's choice at one point, and what the fit says it loses."""
    notes = _Notes()
    best = document["optimum"]
    own = "-" if best["lr"] is None else "0"
    rows = [
        ["surrogate", common.lr(best["lr"]), _tokens(best["batch"]), own, ""],
        *(
            [
                law["name"],
                common.lr(law["lr"]),
                _tokens(law["batch"]),
                _share(law["regret"]),
                notes.letters(
                    [*law["warnings"], *([_BEYOND] if law["inside"] is False else [])]
                ),
            ]
            for law in document["laws"]
            if law["reason"] is None
        ),
    ]
    names = ["law", "lr", "batch in tokens", "predicted regret", "note"]
    meaning = "Predicted regret: share of the fit's lowest loss at this point."
    return [
        common.title(f"Published laws for {common.place(document)}"),
        common.columns(names, rows, left=["law", "note"]),
        *notes.lines(),
        *_refused(document["laws"]),
        common.title(""),
        _plain(meaning),
        common.grid(common.common(document)),
    ]


_BEYOND = "Beyond the fitted runs: its regret is extrapolated."


class _Notes:
    """Notes by letter, each once."""

    def __init__(self) -> None:
        self._notes: list[str] = []

    def letters(self, texts: Iterable[str]) -> str:
        """The letters of these notes."""
        found = []
        for note in texts:
            if note not in self._notes:
                self._notes.append(note)
            found.append(self._letter(self._notes.index(note)))
        return " ".join(found)

    @staticmethod
    def _letter(index: int) -> str:
        size = len(ascii_lowercase)
        return ascii_lowercase[index % size] * (1 + index // size)

    def lines(self) -> list[RenderableType]:
        """The notes, to be printed below the table."""
        if not self._notes:
            return []
        rows = [(self._letter(i), note) for i, note in enumerate(self._notes)]
        return [common.title(""), common.grid(rows)]


def _refused(laws: list[Document]) -> list[RenderableType]:
    refused = [(law["name"], law["reason"]) for law in laws if law["reason"]]
    if not refused:
        return []
    return [common.title(""), common.title("Not computed"), common.grid(refused)]


def _plain(line: str) -> RenderableType:
    from rich.text import Text

    return Text(line)


def _bare(said: str) -> str:
    """Without the unit, which the column's head has."""
    return said.removesuffix(" %").replace("under ", "<")


def _share(value: Number) -> str:
    return "-" if value is None else common.percent(value)


def _mean(part: Document | None) -> str:
    part = part or {}
    se = part.get("se")
    if part.get("mean") is None or se is None:
        return _share(part.get("mean"))
    return common.with_error(part["mean"], se)


def _tokens(value: Number) -> str:
    return common.batch(value).removesuffix(" tokens")
