"""The text of check, fit, evaluate, predict and demo."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from surrogate.cli.text import answers, common, levels, tells
from surrogate.cli.text.common import Document, Form, Number, Row

if TYPE_CHECKING:
    from rich.console import RenderableType

_MARK = " *"
_CELLS = 40
_DROPPED = 10
# Of a longer table so few cells are not worth its head.
_FEW = 3
_SETTINGS = ("lr", "batch", "params", "tokens")


def check(document: Document, everything: bool = False) -> list[RenderableType]:
    """What was read and can be told; cells as far as they fit on a screen.

    Args:
        document: of the table.
        everything: all cells and whole notes.
    """
    ranges, counts = document["ranges"], document["levels"]
    further = {n: r for n, r in ranges.items() if n not in _SETTINGS}
    rows: list[Row] = [
        ("diverged", _diverged(document["diverged"])),
        *_set_aside(document["set_aside"]),
        *_spikes(document["spikes"]),
        ("lr", _levels(ranges["lr"], counts["lr"], common.lr)),
        ("batch", _levels(ranges["batch"], counts["batch"], common.batch)),
        ("params", f"{common.span(ranges['params'], common.count)}, {_kind(document)}"),
        ("tokens", common.span(ranges["tokens"], common.count)),
        *((name, common.span(ends, common.count)) for name, ends in further.items()),
        ("loss", f"{document['loss_kind']}, {common.unit(document)}"),
        *_seeds(document),
        *([] if document["also"] else _recipe(document)),
        ("identifiable", _answers(document["identifiable"])),
    ]
    notes = document["notes"]
    rows += [("note", n) for n in (notes if everything else tells.short(notes))]
    rows += tells.rows(document)
    found = f"{_many(document['runs'], 'run')} in {_many(document['cells'], 'cell')}"
    before = [
        common.title(f"{found}, {_many(len(document['dropped']), 'row')} dropped"),
        *_understood(document["understood"]),
        common.grid(rows),
        *levels.tables(document["also"]),
    ]
    after = [
        *_aside_table(document["aside"]),
        *_dropped_table(document["dropped"]),
        *tells.following(document),
    ]
    room = tells.MOST_LINES - tells.lines_of([*before, *after])
    # A blank line, the head, and how many more there are.
    cells = _cell_table(document, None if everything else max(room - 3, 0))
    return [*before, *cells, *after]


def _understood(lines: list[Document]) -> list[RenderableType]:
    """What was taken for each role."""
    names = ["role", "column", "unit", "example"]
    rows = [[str(line[name]) for name in names] for line in lines]
    return [common.columns(names, rows, left=names), common.title("")] if rows else []


def _seeds(document: Document) -> list[Row]:
    """The noise that replicates show, where there are any."""
    noise = document.get("seed_noise")
    if noise is None:
        return []
    return [("seed noise", f"{common.percent(noise)} of the loss, by replicates")]


def _recipe(document: Document) -> list[Row]:
    """Which recipe did best where several ran at the same sizes."""
    best = document.get("best_recipe")
    if not best:
        return []
    said = (
        f"{best['recipe']}: lowest measured loss at {best['sizes']} of "
        f"{_many(best['of'], 'size')}, {common.percent(best['gap'])} below "
        f"{best['next']}"
    )
    noise = document.get("seed_noise")
    if noise is not None and best["gap"] < 2 * noise:
        said += ", within the noise between seeds"
    return [("best recipe", said)]


def _aside_table(aside: list[Document]) -> list[RenderableType]:
    """Every run that serves neither the bowl nor the edge, by file and line."""
    if not aside:
        return []
    shown, more = common.first(aside, _DROPPED, "runs set aside", "--json")
    rows = [
        [
            row["where"] or "unknown",
            common.lr(row["lr"]),
            common.count(row["batch"]),
            common.count(row["params"]),
            common.count(row["tokens"]),
            common.loss(row["loss"]),
            row["reason"],
        ]
        for row in shown
    ]
    names = ["run", "lr", "batch", "params", "tokens", "loss", "why"]
    return [
        common.title(""),
        common.title("Runs set aside"),
        common.columns(names, rows, left=["run", "why"]),
        *more,
    ]


def _set_aside(runs: int) -> list[Row]:
    """How many runs serve nothing; the warnings name them."""
    return [("set aside", f"{_many(runs, 'run')}, named below")] if runs else []


def _spikes(spikes: list[Document]) -> list[Row]:
    """Runs above what any smooth bowl allows."""
    if not spikes:
        return []
    worst = max(spikes, key=lambda run: run["excess"])
    return [
        (
            "spikes",
            f"{_many(len(spikes), 'run')} 2% or more above the runs on both sides, "
            f"short of diverging; the largest {common.percent(worst['excess'])} at lr "
            f"{common.lr(worst['lr'])}, batch {common.batch(worst['batch'])} "
            f"({common.count(worst['params'])} params, {common.count(worst['tokens'])} "
            "tokens)",
        )
    ]


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _levels(ends: list[Number], number: int, form: Form) -> str:
    return f"{common.span(ends, form)}, {_many(number, 'level')}"


def _kind(document: Document) -> str:
    return {
        "non_embedding": "without embeddings",
        "total": "with embeddings",
    }.get(document["params_kind"], "which count is unknown")


def _answers(identifiable: dict[str, bool]) -> str:
    return ", ".join(
        f"{name.replace('_', ' with ')} {'yes' if known else 'no'}"
        for name, known in identifiable.items()
    )


def _cell_table(document: Document, most: int | None) -> list[RenderableType]:
    cells = document["cell_table"]
    if most is not None and most + 1 >= len(cells):
        most = len(cells)
    if most is not None and most < min(_FEW, len(cells)):
        return [common.plain_line(f"{_many(len(cells), 'cell')}: --all lists them.")]
    shown, more = common.first(
        cells, len(cells) if most is None else most, "cells", "--all"
    )
    has_recipes = document["recipes"] != [""]
    names = ["params", "tokens", "runs", "diverged", "best loss"]
    rows = [
        [
            common.count(cell["params"]),
            common.count(cell["tokens"]),
            f"{cell['runs']:,}",
            f"{cell['diverged']:,}",
            common.loss(cell["best"]),
        ]
        for cell in shown
    ]
    for name in document["cell_table"][0]["scales"]:
        names.insert(2, name)
        for row, cell in zip(rows, shown, strict=True):
            row.insert(2, common.count(cell["scales"][name]))
    if has_recipes:
        names.insert(0, "recipe")
        for row, cell in zip(rows, shown, strict=True):
            row.insert(0, cell["recipe"])
    return [common.title(""), common.columns(names, rows, left=["recipe"]), *more]


def _dropped_table(dropped: list[Document]) -> list[RenderableType]:
    if not dropped:
        return []
    shown, more = common.first(dropped, _DROPPED, "dropped rows", "--json")
    reasons = Counter(f"{row['column']}: {row['reason']}" for row in dropped)
    files = {row["file"] for row in dropped}
    # One file's name on every line would leave no room for the reasons.
    names = ["line", "column", "value", "reason"]
    names = ["file", *names] if len(files) > 1 else names
    where = f" of {files.pop()}" if len(files) == 1 else ""
    return [
        common.title(""),
        common.title(f"Dropped rows{where}"),
        common.grid((f"{n:,}", reason) for reason, n in reasons.most_common()),
        common.title(""),
        common.columns(
            names,
            ([str(row[name]) for name in names] for row in shown),
            left=["file", "column", "value", "reason"],
        ),
        *more,
    ]


def fit(document: Document) -> list[RenderableType]:
    """What was fitted, to how much, and how well it did on cells left out."""
    k = document.get("k")
    family = str(document.get("family"))
    scores = document.get("scores") or {}
    rows: list[Row] = [
        ("written to", str(document.get("out"))),
        ("family", family if k is None else f"{family}, {k} further terms"),
        (
            "fitted to",
            f"{_many(document['runs'], 'run')} in {_many(document['cells'], 'cell')} "
            f"({document['diverged']:,} diverged, {_number(document['dropped'])} "
            "dropped)",
        ),
        ("bootstrap", f"{document['bootstrap']:,} draws, seed {document['seed']}"),
    ]
    rows += [
        (name, common.percent(scores.get(key)))
        for name, key in (
            ("regret, cells left out", "regret"),
            ("smoothed regret", "regret_smoothed"),
            ("error of ln loss", "mae_ln"),
        )
        if scores.get(key) is not None
    ]
    also = document.get("also") or []
    rows += [*_seeds(document), *([] if also else _recipe(document))]
    if document.get("seconds") is not None:
        rows.append(("took", f"{document['seconds']:.1f} s"))
    rows += [("note", n) for n in tells.short(document.get("notes") or ())]
    rows += tells.rows(document)
    tables = levels.tables(also)
    return [common.title("Fit"), common.grid(rows), *tables, *tells.following(document)]


def _diverged(count: int) -> str:
    return f"{count:,}, kept as evidence on stability" if count else "0"


def _number(value: object) -> str:
    return f"{len(value) if isinstance(value, list) else value:,}"


def evaluate(document: Document) -> list[RenderableType]:
    """How the fit does on runs that it has not seen."""
    raw, smooth = document.get("regret") or {}, document.get("regret_smoothed") or {}
    band = document.get("band") or {}
    rows: list[Row] = [
        ("regret, mean", _with_error(raw) + _far(document.get("cells") or [])),
        (
            "smoothed, mean",
            "not known: too few runs near the best of any cell"
            if smooth.get("mean") is None
            else _with_error(smooth),
        ),
        ("regret, worst", common.percent(raw.get("max"))),
        (
            "loss error",
            ", ".join(
                f"{name} {_plain_number(document.get(name))}"
                for name in ("mae", "rmse", "bias")
            )
            + f" {common.unit(document)}; r2 {_plain_number(document.get('r2'))}, "
            f"spearman {_plain_number(document.get('spearman'))}",
        ),
        (
            f"band at {common.percent(band.get('tol'))}",
            f"precision {_plain_number(band.get('precision'))}, recall "
            f"{_plain_number(band.get('recall'))}",
        ),
        ("runs", f"{document['runs']:,} ({document['runs_diverged']:,} diverged)"),
    ]
    shown, more = common.first(document.get("cells") or [], _CELLS, "cells", "--json")
    names = ["params", "tokens", "runs", "lr", "batch", "best lr", "best batch"]
    has_recipes = any(cell.get("recipe") for cell in shown)
    table = common.columns(
        [*(["recipe"] if has_recipes else []), *names, "regret"],
        (
            [
                *([str(cell.get("recipe") or "")] if has_recipes else []),
                common.count(cell.get("params")),
                common.count(cell.get("tokens")),
                f"{cell.get('runs'):,}",
                common.lr(cell.get("lr")),
                common.count(cell.get("batch")),
                common.lr(cell.get("best_lr")),
                common.count(cell.get("best_batch")),
                common.percent(cell.get("regret"))
                + (_MARK if cell.get("outside_grid") else ""),
            ]
            for cell in shown
        ),
        left=["recipe"],
    )
    if any(cell.get("outside_grid") for cell in shown):
        said = "the proposal lies beyond the runs: read off the nearest of them"
        more = [common.plain_line(f"{_MARK.strip()}  {said}"), *more]
    body = common.grid([*rows, *common.common({**document, "status": None})])
    heading = common.title("Regret by cell")
    return [common.title("Evaluation on these runs"), body, heading, table, *more]


def _far(cells: Sequence[Document]) -> str:
    """In how many cells the proposal was not tried, so that its regret says little."""
    told = [cell for cell in cells if cell.get("regret") is not None]
    far = sum(bool(cell.get("outside_grid")) for cell in told)
    if not far:
        return ""
    return f"; {far} of {len(told)} proposals lie beyond the runs, so it says little"


def _with_error(part: Document) -> str:
    mean, se = part.get("mean"), part.get("se")
    if mean is None or se is None:
        return common.percent(mean)
    return common.with_error(mean, se)


def _plain_number(value: Number) -> str:
    return "unknown" if value is None else f"{value:.4g}"


def predict(document: Document) -> list[RenderableType]:
    """How many points were answered and where the answers are."""
    answered = f"{document['answered']:,} of {document['points']:,} points"
    rows: list[Row] = [("written to", document["out"])]
    rows += [
        (f"{n:,} not answered", reason) for reason, n in document["refused"].items()
    ]
    return [common.title(f"Predicted {answered}"), common.grid(rows)]


def report(document: Document) -> list[RenderableType]:
    """Where the page is and what it holds."""
    rows: list[Row] = [
        ("size", f"{document['bytes'] / 1000:,.0f} kB, opens without a network"),
        ("draws", f"{document['draws']:,} of {document['draws_of']:,}"),
        ("runs", f"{document['runs']:,} of {document['runs_of']:,}"),
    ]
    if not document["runs_of"]:
        rows[-1] = ("runs", "none: a bundled fit has none; pass --runs FILE")
    return [common.title(f"Wrote {document['out']}"), common.grid(rows)]


def demo(document: Document) -> list[RenderableType]:
    """The fit, its optimum and its plateau, and the next command to type."""
    files = document["files"]
    asked = document["plateau"]
    sizes = {name: common.count(asked[name]) for name in ("params", "tokens")}
    where = f"--params {sizes['params']} --tokens {sizes['tokens']}"
    ask = f"surrogate plateau {files[0]} {where}"
    return [
        *fit(document["fit"]),
        common.title(""),
        *answers.optimum(document["optimum"]),
        common.title(""),
        *answers.plateau(document["plateau"]),
        common.title(""),
        common.grid([("files", ", ".join(files)), ("ask it yourself", ask)]),
    ]
