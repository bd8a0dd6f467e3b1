"""What a reader took for each role, for people: column, unit, and one cell as read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from surrogate.base.units import format_tokens_exact, quote
from surrogate.data import Understood
from surrogate.data.readers.cells import Parsed
from surrogate.data.readers.columns.mapping import Plan
from surrogate.data.readers.formats.csv import Table

_COUNTS = ("batch", "params", "tokens")


def understood(
    table: Table, plan: Plan, runs: Sequence[Parsed], kinds: Mapping[str, str]
) -> tuple[Understood, ...]:
    """A line for each role of a file.

    Args:
        table: the file.
        plan: what its columns are.
        runs: its usable rows.
        kinds: of the loss, its unit, and what the params count.
    """
    row = runs[0]
    units = {
        "lr": "peak",
        "batch": "sequences, made tokens" if plan.is_sequences else "tokens a step",
        "params": _kind(kinds["params_kind"], "count not said", "count"),
        "tokens": "tokens of the whole run",
        "loss": f"{_loss_unit(kinds['loss_unit'])}, "
        f"{_kind(kinds['loss_kind'], 'kind not said')}",
    }
    lines = []
    for role, term in {**plan.terms, **plan.scales}.items():
        value = row.values.get(role)
        texts = ", ".join(row.row.fields[column] for column in term.columns)
        read = "" if value is None else _read(role, value)
        is_plain = texts in ("", read) or not read
        example = (read or texts) if is_plain else f"{texts} read as {read}"
        unit = units.get(role, "further scale" if role in plan.scales else "")
        lines.append(Understood(role, term.label, unit, example))
    for role, column in plan.texts.items():
        lines.append(_text(table, role, column, row))
    lines += [_text(table, "recipe", column, row) for column in plan.recipe]
    return tuple(lines)


def _text(table: Table, role: str, column: int, row: Parsed) -> Understood:
    shown = quote(row.row.fields[column], limit=30)
    return Understood(role, quote(table.header[column]), "words", shown)


def _loss_unit(unit: str) -> str:
    return "nats per token" if unit == "nats" else unit.replace("_", " ")


def _kind(kind: str, unknown: str, noun: str = "") -> str:
    return unknown if kind == "unknown" else f"{kind.replace('_', ' ')} {noun}".strip()


def _read(role: str, value: float) -> str:
    return format_tokens_exact(value) if role in _COUNTS else f"{value:.6g}"
