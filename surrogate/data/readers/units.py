"""Units of columns: losses as nats; sizes that are a unit short are refused."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from surrogate.base.defaults import SMALL
from surrogate.base.errors import DataError, FlagsError
from surrogate.base.units import quote
from surrogate.data import check_loss_unit, in_nats, nats_a_unit, unit_fault
from surrogate.data.readers.cells import Parsed
from surrogate.data.readers.columns.differences import is_share, relative_to
from surrogate.data.readers.columns.magnitudes import are_plausible, likely_factors
from surrogate.data.readers.columns.mapping import Plan
from surrogate.data.readers.columns.places import spelled
from surrogate.data.readers.formats.csv import Table
from surrogate.data.readers.words import Words


def convert_loss(table: Table, plan: Plan, parsed: list[Parsed], words: Words) -> str:
    """Make nats of perplexities and bits per token; say so."""
    unit = words.loss_unit or plan.loss_unit
    losses = np.array([item.values["loss"] for item in parsed], dtype=np.float64)
    try:
        check_loss_unit(unit, losses)
    except DataError as error:
        row = _against_unit(unit, losses)
        place = f"{table.file} line {parsed[row].row.line}, column"
        label, value = plan.terms["loss"].label, losses[row]
        raise DataError(f"{place} {label}, value {value:g}: {error}") from error
    if unit == "nats":
        return ""
    converted, kept = in_nats(unit, losses)
    scale = np.broadcast_to(nats_a_unit(unit, losses), losses.shape)
    for item, loss, unit_se in zip(
        parsed, converted.tolist(), scale.tolist(), strict=True
    ):
        item.values["loss"] = loss
        item.values["loss_se"] *= unit_se
    said = unit.replace("_", " ")
    if kept == unit:
        return f"; the loss is in {said}"
    return f"; the loss, in {said}, was converted to nats per token"


def _against_unit(unit: str, losses: np.ndarray) -> int:
    """The row that a unit of the loss cannot have: the least perplexity, most bits."""
    if unit == "perplexity":
        return int(np.where(np.isfinite(losses), losses, np.inf).argmin())
    return int(np.where(np.isfinite(losses), losses, -np.inf).argmax())


def check_units(
    table: Table, plan: Plan, parsed: list[Parsed], columns: Mapping[str, np.ndarray]
) -> None:
    """Refuse sizes that look like a forgotten unit, with the unit that is likely."""
    believed = np.full(len(parsed), np.inf)
    # A number that the user typed is meant.
    params, tokens = (
        columns[name] if plan.terms[name].columns else believed
        for name in ("params", "tokens")
    )
    fault = unit_fault(params, tokens)
    if fault:
        field, reason, index = fault
        term = plan.terms[field]
        factors = _unit_flags(table, plan, columns)
        how = (
            "Multiply it by its unit, as below if that is it"
            if factors
            else f"Multiply it by its unit, such as --map {field}={term.label}*1e9"
        )
        raise FlagsError(
            f"{table.file} line {parsed[index].row.line}, column {term.label}, value "
            f"{columns[field][index]:g}: the largest {field}; {reason}. {how}, or add "
            "--allow small if it is meant.",
            table.file,
            factors or ["--allow", SMALL],
        )


def _unit_flags(
    table: Table, plan: Plan, columns: Mapping[str, np.ndarray]
) -> list[str]:
    """The units that sizes probably have, as --map says them; none where none fit."""
    sizes = {key: columns[key] for key in ("params", "tokens", "batch")}
    if are_plausible(*(float(np.median(x)) for x in sizes.values())):
        return []
    words = []
    for role, factor in likely_factors(sizes).items():
        term = plan.terms[role]
        if not term.is_column:
            return []
        words += ["--map", f"{role}={spelled(table.header[term.columns[0]])}*{factor}"]
    return words


def check_shares(table: Table, plan: Plan) -> None:
    """Refuse a loss that is given as a share of another."""
    term = plan.terms["loss"]
    if not term.is_column or not is_share(table, table.header[term.columns[0]]):
        return
    name = table.header[term.columns[0]]
    cell = next(r for r in table.rows if r.fields[term.columns[0]].endswith("%"))
    raise FlagsError(
        f"{table.file} line {cell.line}, column {quote(name)}, value "
        f"{quote(cell.fields[term.columns[0]])}: expected the loss of each run, got a "
        "share of another. Add the column of losses, or fill in BASE_LOSS, the loss "
        "that is meant by 0 %.",
        table.file,
        ["--map", f"loss={relative_to(name)}"],
    )
