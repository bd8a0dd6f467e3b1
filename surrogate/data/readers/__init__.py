"""Read tables of finished runs: one file a format, roles found by column names.

`formats` takes a file, standard input or a frame to its reader, which makes a table of
text; `plan` says which column is what, `numbers` what a cell plainly means, and `rows`
checks every row.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from surrogate.base.arguments import checked, kinds
from surrogate.base.defaults import SMALL
from surrogate.base.errors import DataError
from surrogate.data import SETTINGS, Runs, Source, Understood, check_kinds
from surrogate.data.advice import is_repeat_warning
from surrogate.data.readers.columns.levels import check_levels, with_caution
from surrogate.data.readers.columns.mapping import Plan, Said, make_plan
from surrogate.data.readers.columns.repeats import separating_columns
from surrogate.data.readers.columns.understood import understood
from surrogate.data.readers.columns.unnamed import with_unnamed
from surrogate.data.readers.copies import once
from surrogate.data.readers.formats.choose import read_any
from surrogate.data.readers.formats.csv import Table
from surrogate.data.readers.formats.frames import is_frame
from surrogate.data.readers.formats.large import Progress
from surrogate.data.readers.merged import fill_down as filled
from surrogate.data.readers.numbers import tidy
from surrogate.data.readers.rows import Converted, convert
from surrogate.data.readers.schedule import parse_schedule
from surrogate.data.readers.seeds import with_replicates
from surrogate.data.readers.words import Words

__all__ = ["read_runs"]


@checked(
    paths=kinds.anything,
    recipe=kinds.text_or_texts,
    fill_down=kinds.text_or_texts,
    scales=kinds.texts_by_name,
    diverged_above=kinds.margin_or_text,
)
def read_runs(
    paths: Any,
    *,
    map: Mapping[str, str] | None = None,
    seq_len: int | None = None,
    recipe: str | Sequence[str] | None = None,
    scales: Mapping[str, str] | None = None,
    loss_kind: str | None = None,
    params_kind: str | None = None,
    diverged_above: float | str | None = None,
    loss_unit: str | None = None,
    cluster: str | None = None,
    loss_se: str | None = None,
    finished: Sequence[str] = (),
    failed: Sequence[str] = (),
    allow: Collection[str] = (),
    checkpoints: str = "last",
    lr_is_schedule: str | None = None,
    also: str | None = None,
    fill_down: str | Sequence[str] = (),
    progress: Progress | None = None,
) -> Runs:
    """Read one table of finished runs, or several as one.

    Args:
        paths: a file or several (CSV, JSON, JSON lines, markdown, Parquet, Arrow,
            Excel; "-" is standard input), or a table itself: a frame of pandas, polars
            or pyarrow, a dict of columns, a list of records. Columns are found by their
            usual names (docs/columns.md).
        map: what is what where names do not tell, by role (lr, batch, params, tokens,
            loss, seq_len, recipe, status, diverged, name): a column, or an expression
            of columns, numbers and other roles such as "C/(6*params)".
        seq_len: length of a sequence [tokens], for batches in sequences.
        recipe: the column, or columns, that name what else differs between runs.
        scales: further scale variables: their columns by name.
        loss_kind: which loss it is, where the file does not tell.
        params_kind: which parameters are counted, where the file does not tell.
        diverged_above: instead of looking for jumps along lr: a run has diverged if its
            loss is this share above its cell's lowest; infinity: only if marked;
            "COLUMN=VALUE": those whose column holds this value, and those marked.
        loss_unit: `nats`, `bits_per_byte`, `bits_per_token` or `perplexity`, where the
            column's name does not tell; the last two become nats.
        cluster: the column that names what runs share a trunk; kept as
            `Runs.cluster`: intervals count its runs as one.
        loss_se: the column of the standard error of each loss, in the loss's unit; kept
            as `Runs.loss_se`, and part of the noise of its run.
        finished: further words of a status column for runs that ended.
        failed: likewise for those that did not, which never count.
        allow: `small`, for sizes that look like a forgotten unit.
        checkpoints: of rows that are several of one run the `last` is used; `refuse`
            such a file; or take all rows as `runs`.
        lr_is_schedule: where lr falls along each run: `cosine`, or
            `cosine:floor=10%,warmup=2000` (a share of the peak, steps). The peak is
            computed, the schedule ending at the run's steps or its last row.
        also: the column of a further setting that was swept, such as weight_decay: its
            levels are recipes of their own, and compared at each size.
        fill_down: columns, or their names between commas, whose empty cells mean the
            value above them, as merged cells are saved.
        progress: is told of the reading of large files.

    Returns:
        The checked table, batch in tokens, with every unused row in `dropped`.

    Raises:
        DataError: naming file, line, column and value, and what to do.
    """
    check_kinds(loss_kind or "unknown", params_kind or "unknown")
    if seq_len is not None and seq_len < 1:
        raise DataError(
            f"--seq-len: expected a number of tokens, such as 2048, got {seq_len}."
        )
    marked = diverged_above if isinstance(diverged_above, str) else None
    said = Said(
        mapping=map or {},
        recipe=[recipe] if isinstance(recipe, str) else list(recipe or ()),
        scales=scales or {},
        cluster=cluster,
        loss_se=loss_se,
        marked=marked,
        also=also,
        has_length=seq_len is not None,
    )
    found = [paths] if _is_one(paths) else list(paths)
    tables = _read_tables(found, progress, checkpoints == "runs")
    down = fill_down.split(",") if isinstance(fill_down, str) else list(fill_down)
    down = [name.strip() for name in down if name.strip()]
    tables = [filled(table, down) for table in tables]
    plans = [make_plan(table, said) for table in tables]
    tables = [_tidied(*pair) for pair in zip(tables, plans, strict=True)]
    words = Words(
        seq_len=seq_len,
        finished=tuple(word.strip().lower() for word in finished),
        failed=tuple(word.strip().lower() for word in failed),
        allow=tuple(allow),
        loss_unit=loss_unit,
        checkpoints=checkpoints,
        schedule=None if lr_is_schedule is None else parse_schedule(lr_is_schedule),
    )
    if lr_is_schedule is not None and checkpoints == "runs":
        raise DataError(
            "--lr-is-schedule: expected rows that are checkpoints of runs, but "
            "--checkpoints runs says that each is a run. Leave one of them out."
        )
    parts = [convert(*pair, words) for pair in zip(tables, plans, strict=True)]
    parts, copied = once(tables, parts)
    files = [_File(*each) for each in zip(tables, plans, parts, strict=True)]
    kinds = {
        "loss_kind": loss_kind or _same(files, "loss_kind"),
        "params_kind": params_kind or _same(files, "params_kind"),
        "loss_unit": _kept_unit(loss_unit or _same(files, "loss_unit")),
    }
    above = math.inf if isinstance(diverged_above, str) else diverged_above
    runs = _join(files, sorted(said.scales), kinds, above, copied)
    runs = replace(runs, understood=_understood(files, kinds), also=also or "")
    check_levels(runs)
    return _with_hint(with_caution(runs), files)


class _File(NamedTuple):
    """A file that was read."""

    table: Table
    plan: Plan
    part: Converted


def _tidied(table: Table, plan: Plan) -> Table:
    """With plain numbers, and a note of what was made plain."""
    table, notes = tidy(table, plan.numbers())
    return replace(table, notes=(*table.notes, *notes))


def _understood(
    files: Sequence[_File], kinds: Mapping[str, str]
) -> tuple[Understood, ...]:
    """What was taken for each role; of several files, each line once."""
    lines = [
        line
        for table, plan, part in files
        for line in understood(table, plan, part.runs, kinds)
    ]
    first = {(line.role, line.column, line.unit): line for line in reversed(lines)}
    return tuple(sorted(first.values(), key=lines.index))


def _is_one(paths: Any) -> bool:
    """Whether what was given is one table, and not several."""
    is_listed = isinstance(paths, Iterable) and not isinstance(paths, bytes)
    is_listed = is_listed and getattr(paths, "ndim", 1) == 1
    return isinstance(paths, str | os.PathLike) or is_frame(paths) or not is_listed


def _read_tables(
    files: Sequence[Any], progress: Progress | None, is_whole: bool
) -> list[Table]:
    if not files:
        raise DataError(
            "expected at least one file of runs, got none. Name a CSV file."
        )
    tables: dict[str, Table] = {}
    for file in files:
        table = read_any(file, progress=progress, is_whole=is_whole)
        if table.sha256 in tables:
            raise DataError(
                f"{table.file}: expected every file once, but it holds the same bytes "
                f"as {tables[table.sha256].file}. Leave one of them out."
            )
        tables[table.sha256] = table
    return list(tables.values())


def _same(files: Sequence[_File], kind: str) -> str:
    """The kind that all files share: what they hold must be comparable."""
    first = files[0]
    for table, plan, _ in files:
        if getattr(plan, kind) != getattr(first.plan, kind):
            raise DataError(
                f"{table.file}: expected the same kind of loss and of parameter count "
                f"in all files, got {getattr(plan, kind)} where {first.table.file} has "
                f"{getattr(first.plan, kind)}. Read them apart, or say what they are "
                "with --loss-kind and --params-kind."
            )
    return getattr(first.plan, kind)


def _kept_unit(unit: str) -> str:
    """The unit of a loss once it is read: nats, but for bits per byte."""
    return unit if unit == "bits_per_byte" else "nats"


def _join(
    files: Sequence[_File],
    scales: Sequence[str],
    kinds: Mapping[str, str],
    diverged_above: float | None,
    cautions: Sequence[str],
) -> Runs:
    tables = [file.table for file in files]
    rows = [item for file in files for item in file.part.runs]
    settings = {key: [item.values[key] for item in rows] for key in (*SETTINGS, "loss")}
    return Runs.from_arrays(
        **settings,
        **kinds,
        recipe=[item.recipe for item in rows],
        name=[item.name for item in rows],
        cluster=[item.cluster for item in rows],
        loss_se=[item.values["loss_se"] for item in rows],
        diverged=[item.diverged for item in rows],
        diverged_above=diverged_above,
        where=[
            f"{file.table.file} line {item.row.line}"
            for file in files
            for item in file.part.runs
        ],
        scales={name: [item.values[name] for item in rows] for name in scales},
        # Every file's own sizes were judged while it was read.
        allow=(SMALL,),
        dropped=[item for file in files for item in file.part.dropped],
        notes=[
            *(file.part.note for file in files),
            *(note for table in tables for note in table.notes),
        ],
        called=_labels(files),
        cautions=[*(text for f in files for text in f.part.warnings), *cautions],
        sources=[
            Source(table.file, table.sha256, len(table.rows) + len(table.dropped))
            for table in tables
        ],
    )


def _labels(files: Sequence[_File]) -> dict[str, str]:
    """What each role is called in the files."""
    roles = (*SETTINGS, "loss")
    names = {role: [file.plan.terms[role].label for file in files] for role in roles}
    return {role: " or ".join(dict.fromkeys(labels)) for role, labels in names.items()}


def _with_hint(runs: Runs, files: Sequence[_File]) -> Runs:
    """`runs`, told which columns of a single file set repeated settings apart."""
    if len(files) > 1:
        return runs
    header, used = files[0].table.header, files[0].plan.used()
    fields = [item.row.fields for item in files[0].part.runs]
    runs = with_replicates(runs, header, fields, used)
    runs = with_unnamed(runs, header, fields, used)
    repeats = runs.repeats()
    if not any(is_repeat_warning(text) for text in runs.warnings):
        return runs
    names = separating_columns(header, fields, repeats, used)
    if not names:
        return runs
    hint = (
        f"Columns that differ between those repeats: {', '.join(names)}. If one is the "
        f"recipe, name it with --recipe; if it was swept, with --also."
    )
    return replace(runs, warnings=(*runs.warnings, hint))
