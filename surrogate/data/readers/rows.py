"""From rows of text and a plan to checked numbers; every other row with its reason."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from surrogate.base.defaults import SAID_FAILED, SMALL
from surrogate.base.errors import DataError, FlagsError
from surrogate.base.units import quote
from surrogate.data import (
    SETTINGS,
    Dropped,
    check_loss_unit,
    in_nats,
    nats_a_unit,
    row_fault,
    unit_fault,
)
from surrogate.data.advice import count
from surrogate.data.readers.arithmetic import Read, check_peak
from surrogate.data.readers.batch import tokens_per_step
from surrogate.data.readers.checkpoints import (
    Point,
    check_ids,
    last_of_each,
)
from surrogate.data.readers.columns.differences import is_share, relative_to
from surrogate.data.readers.columns.guesses import spelled
from surrogate.data.readers.columns.magnitudes import are_plausible, likely_factors
from surrogate.data.readers.columns.mapping import Plan, is_same
from surrogate.data.readers.columns.terms import Term
from surrogate.data.readers.endings import FAILED, check_endings
from surrogate.data.readers.formats.csv import Row, Table, parse_cell
from surrogate.data.readers.merged import check_merged
from surrogate.data.readers.schedule import Log, Schedule, peak_of
from surrogate.data.third_setting import label, level_of

_LOSS_DIVERGED = ("nan", "inf", "infinity", "diverged")
_DIVERGED = ("diverged", "nan", "inf")
_FINISHED = (
    *("", "finished", "ok", "complete", "completed", "done", "success", "succeeded"),
)
_UNFINISHED = (
    "failed",
    "crashed",
    "killed",
    "running",
    "preempted",
    "cancelled",
    "canceled",
    "aborted",
    "timeout",
    "scheduled",
    "pruned",
    "fail",
    "waiting",
    "pending",
    "crash",
    "error",
    "oom",
    "out of memory",
    "out_of_memory",
    "interrupted",
    "stopped",
)
_MARKED = {
    **dict.fromkeys(("true", "yes", "1", "1.0", "diverged"), True),
    **dict.fromkeys(("false", "no", "0", "0.0", ""), False),
}


@dataclass(frozen=True)
class Parsed:
    """One row as numbers, before it is checked as a run."""

    row: Row
    values: dict[str, float]
    diverged: bool
    recipe: str
    name: str
    cluster: str = ""


@dataclass(frozen=True)
class Converted:
    """A file's usable runs, batch in tokens, and the rows that are not.

    Attributes:
        runs: the usable rows.
        dropped: the others, in the order of their lines.
        note: what was recognised and converted.
        warnings: what of it may be wrong.
    """

    runs: tuple[Parsed, ...]
    dropped: tuple[Dropped, ...]
    note: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Words:
    """What a user knows better than the reader.

    Attributes:
        seq_len: the length of a sequence [tokens], for batches in sequences.
        finished: further words of a status column, in small letters.
        failed: likewise; such runs never count.
        allow: `small`, for sizes that look like a forgotten unit.
        loss_unit: of the loss column; None where its name tells.
        checkpoints: what becomes of them: the `last` of a run is used, `refuse`, or
            all are `runs`.
        schedule: what the lr follows along each run; None where it is the peak.
    """

    seq_len: int | None = None
    finished: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    loss_unit: str | None = None
    checkpoints: str = "last"
    schedule: Schedule | None = None


def convert(table: Table, plan: Plan, words: Words) -> Converted:
    """Read every row of `table` as `plan` says.

    Args:
        table: the file.
        plan: where each role is found.
        words: what the user says of words and sizes.

    Raises:
        DataError: if the file as a whole is in other units, or no row can be used.
    """
    _check_statuses(table, plan, words)
    if "status" not in plan.texts:
        check_endings(table, plan.used())
    settings = {k for key, t in plan.terms.items() if key != "loss" for k in t.columns}
    check_merged(table, settings | set(plan.recipe), plan.terms["loss"].columns)
    _check_shares(table, plan)
    if words.schedule is None:
        check_peak(table, plan)
    read = [_read_row(table, plan, row, words) for row in table.rows]
    parsed = [item for item in read if isinstance(item, Parsed)]
    dropped = [*table.dropped, *(item for item in read if isinstance(item, Dropped))]
    said, warnings = "", []
    if parsed:
        parsed, said, warnings = _ends(table, plan, parsed, words)
    runs: list[Parsed] = []
    for item in parsed:
        fault = _fault(table, plan, item)
        if fault is None:
            runs.append(item)
        else:
            dropped.append(fault)
    dropped.sort(key=lambda item: item.line)
    if not runs:
        raise DataError(_nothing_left(table, dropped))
    note = _note(table, plan) + said
    return Converted(tuple(runs), tuple(dropped), note, tuple(warnings))


def _ends(
    table: Table, plan: Plan, parsed: list[Parsed], words: Words
) -> tuple[list[Parsed], str, list[str]]:
    """The last row of each run in the reader's units, what was done, and warnings."""
    columns = {
        key: np.array([item.values[key] for item in parsed]) for key in parsed[0].values
    }
    if SMALL not in words.allow:
        _check_units(table, plan, parsed, columns)
    points = _points(plan, parsed)
    if words.checkpoints != "runs" and len(plan.ids) > 1:
        names = {
            table.header[k]: [item.row.fields[k] for item in parsed] for k in plan.ids
        }
        check_ids(table, points, names)
    groups, note, warnings = last_of_each(
        *(table, plan, points, words.checkpoints),
        is_schedule=words.schedule is not None,
    )
    kept = [group[-1] for group in groups]
    parsed = [parsed[k] for k in kept]
    columns = {key: values[kept] for key, values in columns.items()}
    note += _convert_loss(table, plan, parsed, words)
    read = Read(table, plan, columns, [item.row.line for item in parsed])
    batch, how, more = tokens_per_step(
        read, words.seq_len, is_small=SMALL in words.allow
    )
    note += how
    if words.schedule is not None:
        logs = [[points[row] for row in group] for group in groups]
        peaks = _peaks(read, logs, batch, words.schedule)
        for item, peak in zip(parsed, peaks, strict=True):
            item.values["lr"] = peak
        note += "; lr is the schedule's: the peak of each run was computed"
    for item, tokens in zip(parsed, batch.tolist(), strict=True):
        item.values["batch"] = tokens
    return parsed, note, [*warnings, *more]


def _peaks(
    read: Read, logs: list[list[Point]], batch: np.ndarray, schedule: Schedule
) -> list[float]:
    """The peak lr of each run by its rows."""
    steps = read.columns.get("steps", np.full(len(logs), np.nan))
    return [
        peak_of(
            read.table,
            read.plan,
            Log(
                lines=[point.line for point in log],
                lr=np.array([point.lr for point in log]),
                tokens=np.array([point.tokens for point in log]),
                batch=float(batch[k]),
                steps=float(steps[k]),
            ),
            schedule,
        )
        for k, log in enumerate(logs)
    ]


def _read_row(table: Table, plan: Plan, row: Row, words: Words) -> Parsed | Dropped:
    """The numbers of a row, or the first field that is none."""
    marked = _status(table, plan, row, words)
    if isinstance(marked, Dropped):
        return marked
    values: dict[str, float] = {}
    known = {"steps": plan.steps, "accumulation": plan.accumulation}
    further = {key: term for key, term in known.items() if term is not None}
    settings = {key: term for key, term in plan.terms.items() if key != "loss"}
    if not plan.is_sequences:
        settings.pop("seq_len", None)
    for key, term in {**settings, **plan.scales, **further}.items():
        value = _product(table, term, row)
        if isinstance(value, Dropped):
            return value
        values[key] = value
    for column in plan.recipe:
        if not row.fields[column]:
            return _drop(table, row, column, "empty cell: the recipe is missing")
    if plan.also is not None and not row.fields[plan.also]:
        return _drop(
            table, row, plan.also, "empty cell: the further setting is missing"
        )
    if plan.cluster is not None and not row.fields[plan.cluster]:
        return _drop(table, row, plan.cluster, "empty cell: the cluster is missing")
    loss = _loss(table, plan, row, marked)
    if isinstance(loss, Dropped):
        return loss
    values["loss_se"] = _loss_se(table, plan, row)
    name = plan.texts.get("name")
    return Parsed(
        row=row,
        values={**values, "loss": loss},
        diverged=marked or not math.isfinite(loss),
        recipe=_recipe(table, plan, row),
        name="" if name is None else row.fields[name],
        cluster="" if plan.cluster is None else row.fields[plan.cluster],
    )


def _recipe(table: Table, plan: Plan, row: Row) -> str:
    """What else differs, with the level of a further setting behind it."""
    rest = "/".join(row.fields[column] for column in plan.recipe)
    if plan.also is None:
        return rest
    return label(rest, table.header[plan.also], level_of(row.fields[plan.also]))


def _loss_se(table: Table, plan: Plan, row: Row) -> float:
    """The standard error of a row's loss, nan where it is not given."""
    column = plan.loss_se
    if column is None or not row.fields[column]:
        return math.nan
    value = parse_cell(row.fields[column])
    if isinstance(value, str) or not (math.isfinite(value) and value > 0):
        raise DataError(
            f"{table.file} line {row.line}, column {quote(table.header[column])}, "
            f"value {quote(row.fields[column])}: expected a standard error of the "
            "loss above 0. Leave the cell empty where it is not known."
        )
    return value


def _product(table: Table, term: Term, row: Row) -> float | Dropped:
    """The value of a term, or the first of its cells that is no number."""
    values: dict[int, float] = {}
    for column in term.columns:
        value = parse_cell(row.fields[column])
        if isinstance(value, str):
            return _drop(table, row, column, value)
        values[column] = value
    try:
        return term.expression.of(values.__getitem__)
    except ZeroDivisionError:
        texts = ", ".join(row.fields[column] for column in term.columns)
        reason = "division by zero"
        return Dropped(table.file, row.line, clean(term.label), clean(texts), reason)


def _status(table: Table, plan: Plan, row: Row, words: Words) -> bool | Dropped:
    """Whether the status columns say that the run diverged, or why it is no run."""
    marked = False
    column = plan.texts.get("diverged")
    if column is not None:
        word = row.fields[column].lower()
        if word not in _MARKED:
            return _drop(table, row, column, "expected true or false")
        marked = _MARKED[word]
    if plan.marked is not None:
        marked = marked or is_same(plan.marked[1], row.fields[plan.marked[0]])
    column = plan.texts.get("status")
    if column is None:
        return marked
    word = row.fields[column].lower()
    if word in words.failed:
        return _drop(table, row, column, SAID_FAILED)
    if word in words.finished:
        return marked
    if word in _UNFINISHED and not (marked or _says_diverged(plan, row)):
        reason = "unfinished run; if it diverged, write diverged"
        return _drop(table, row, column, reason)
    return marked or word in _DIVERGED


def _points(plan: Plan, parsed: list[Parsed]) -> list[Point]:
    """Rows as checkpoints may be; derived numbers are no settings."""
    moving = {"lr", "tokens", "loss", "steps", "loss_se"}
    return [
        Point(
            line=item.row.line,
            name=item.name,
            settings=(
                item.recipe,
                *(v for key, v in item.values.items() if key not in moving),
            ),
            lr=item.values["lr"],
            tokens=item.values["tokens"],
            loss=item.values["loss"],
        )
        for item in parsed
    ]


def _check_statuses(table: Table, plan: Plan, words: Words) -> None:
    """Refuse words of a status column of which nobody said what they mean."""
    both = sorted(set(words.finished) & set(words.failed))
    if both:
        raise DataError(
            f"--finished and --failed both name {quote(both[0])}. Name it once."
        )
    column = plan.texts.get("status")
    if column is None:
        return
    known = {*_DIVERGED, *_FINISHED, *_UNFINISHED, *words.finished, *words.failed}
    found = [(row.line, row.fields[column].lower()) for row in table.rows]
    unknown = [(line, word) for line, word in found if word not in known]
    if not unknown:
        return
    counts = Counter(word for _, word in unknown).most_common(6)
    named = ", ".join(f"{quote(word)} ({count(n, 'row')})" for word, n in counts)
    ended = [word for word, _ in counts if not FAILED.search(word)]
    failed = [word for word, _ in counts if FAILED.search(word)]
    pairs = (("--finished", ended), ("--failed", failed))
    raise FlagsError(
        f"{table.file} line {unknown[0][0]}, column {clean(table.header[column])}: "
        f"expected a status that is known, such as finished, diverged or crashed, got "
        f"{named}. Say what they mean: --finished WORD,WORD for runs that ended, "
        f"--failed WORD,WORD for those that did not.",
        table.file,
        [text for name, words in pairs if words for text in (name, ",".join(words))],
    )


def _check_shares(table: Table, plan: Plan) -> None:
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


def _convert_loss(table: Table, plan: Plan, parsed: list[Parsed], words: Words) -> str:
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


def _says_diverged(plan: Plan, row: Row) -> bool:
    """Whether the loss is a word for divergence, or overflows a float64."""
    for column in plan.terms["loss"].columns:
        text = row.fields[column].lower()
        # Minus infinity is no loss that a run can end with.
        is_below = text.startswith("-") and text.lstrip("+-") != "nan"
        if text.lstrip("+-") in _LOSS_DIVERGED and not is_below:
            return True
        if parse_cell(text) == math.inf:
            return True
    return False


def _loss(table: Table, plan: Plan, row: Row, marked: bool) -> float | Dropped:
    """The loss, nan where it diverged without a finite one."""
    if _says_diverged(plan, row):
        return math.nan
    term = plan.terms["loss"]
    # A run known to have diverged tells so without a loss; others do not.
    if marked and not all(row.fields[column] for column in term.columns):
        return math.nan
    return _product(table, term, row)


def _fault(table: Table, plan: Plan, item: Parsed) -> Dropped | None:
    """Why a row of numbers is no usable run, or None."""
    fields = (*SETTINGS, *plan.scales, "loss")
    values = {key: item.values[key] for key in fields}
    fault = row_fault(values, diverged=item.diverged)
    if fault is None:
        return None
    field, reason = fault
    term = {**plan.terms, **plan.scales}[field]
    texts = [item.row.fields[column] for column in term.columns]
    column = ", ".join(table.header[column] for column in term.columns)
    return Dropped(
        file=table.file,
        line=item.row.line,
        column=clean(column or term.label),
        value=clean(" * ".join(texts) or term.label),
        reason=reason,
    )


def clean(text: str) -> str:
    """Text from a file, fit for a message: one line, printable, cut at 60."""
    return quote(text)[1:-1]


def _drop(table: Table, row: Row, column: int, reason: str) -> Dropped:
    text = clean(row.fields[column])
    return Dropped(table.file, row.line, clean(table.header[column]), text, reason)


def _check_units(
    table: Table, plan: Plan, parsed: list[Parsed], columns: Mapping[str, np.ndarray]
) -> None:
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


def _note(table: Table, plan: Plan) -> str:
    """Which column is what, for people."""
    title = f"{plan.title} recognised; " if plan.title else ""
    terms = [f"{role} = {term.label}" for role, term in plan.terms.items()]
    if plan.recipe:
        names = " and ".join(quote(table.header[column]) for column in plan.recipe)
        terms.append(f"recipe = {names}")
    terms += [f"{name} = {term.label}" for name, term in plan.scales.items()]
    further = (("cluster", plan.cluster), ("loss_se", plan.loss_se))
    for what, column in (*further, ("also", plan.also)):
        if column is not None:
            terms.append(f"{what} = {quote(table.header[column])}")
    return f"{table.file}: {title}{', '.join(terms)}"


def _nothing_left(table: Table, dropped: list[Dropped]) -> str:
    counts = Counter(item.reason for item in dropped).most_common(4)
    reasons = "; ".join(f"{count} x {reason}" for reason, count in counts)
    return (
        f"{table.file}: expected finished runs, but none of its {len(dropped)} rows "
        f"can be used ({reasons}). The first: {dropped[0]}. Correct the file, or map "
        f"other columns with --map."
    )
