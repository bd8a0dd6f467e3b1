"""`Runs`, the checked table of finished runs, in natural units."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from surrogate.base.arguments import Kind, checked, kinds
from surrogate.base.errors import DataError
from surrogate.base.shapes import Int64
from surrogate.base.units import format_lr, format_tokens_exact, quote
from surrogate.data import advice, cells, checks, divergence, oddities, spikes, ties
from surrogate.data.cells import Cell, Column, Marks, Rows
from surrogate.data.checks import SETTINGS, LossKind, ParamsKind
from surrogate.data.column_units import odd_columns
from surrogate.data.divergence import Verdict

# An exponent fitted over a shorter range of logarithms than this is noise.
MIN_LOG_SPAN = 0.1
# What each run has of its own.
_COLUMNS = (
    *(*SETTINGS, "loss", "verdict", "recipe", "name", "cluster", "loss_se"),
    "lr_level",
)


@dataclass(frozen=True)
class Dropped:
    """A row that was not used: where it stands, what it held, and why."""

    file: str
    line: int
    column: str
    value: str
    reason: str

    def __str__(self) -> str:
        """One line for people, safe to print."""
        field = f", column {quote(self.column)}" if self.column else ""
        value = f", value {quote(self.value)}" if self.column else ""
        return f"{self.file} line {self.line}{field}{value}: {self.reason}"


@dataclass(frozen=True)
class Source:
    """A file that runs came from: its name, SHA-256 of its bytes, its rows of data."""

    file: str
    sha256: str
    rows: int


@dataclass(frozen=True)
class Understood:
    """What was taken for a role: its column, its unit, and one cell as it was read."""

    role: str
    column: str
    unit: str
    example: str


_ARRAYS: dict[str, Kind] = {
    **dict.fromkeys((*SETTINGS, "loss", "diverged"), kinds.array),
    "loss_se": kinds.measures,
    "verdict": kinds.codes,
    **dict.fromkeys(("recipe", "name", "cluster", "where"), kinds.labels),
    "scales": kinds.arrays_by_name,
    "diverged_above": kinds.margin,
    "dropped": kinds.listed(Dropped, "a list of Dropped"),
    "sources": kinds.listed(Source, "a list of Source"),
}


@dataclass(frozen=True, eq=False)
class Runs:
    """Finished runs in natural units, every one checked; arrays are read-only.

    Build it with `readers.read_runs` or `Runs.from_arrays`.

    Attributes:
        lr: peak learning rate, as given.
        batch: batch size [tokens per optimiser step].
        params: number of parameters, counted as `params_kind` says.
        tokens: training tokens, as given.
        loss: final loss [nats per token]; not finite only where diverged.
        verdict: what each run is (`Verdict`): stable, diverged, or set aside.
        recipe: what else differs; "" where there is one unnamed recipe.
        name: the runs' names, "" where they have none.
        where: a file and line for each, "" where there is none.
        cluster: which runs share a trunk; "" where that is not known.
        loss_se: standard error of each loss, in its unit; nan where not known.
        lr_level: `lr` with values within 0.8 % of one another made one.
        cell: index into `cells`.
        scales: further scale variables by name.
        cells: ordered by recipe, params, tokens and scales, whatever the rows' order.
        loss_kind: which loss it is.
        params_kind: which parameters are counted.
        loss_unit: `nats` per token, or `bits_per_byte`.
        dropped: rows that were not used.
        warnings: what a reader of the answers should know.
        notes: what was recognised and converted while reading.
        cautions: what of that may be wrong; warnings as well.
        called: what each setting is called where it was read, for messages.
        understood: what each role was taken from.
        sources: the files that were read.
        seed_noise: standard deviation of ln loss between runs that differ in their
            seed alone; None where none were repeated so.
        also: the further setting whose levels the recipes are, "" for none.
    """

    lr: Column
    batch: Column
    params: Column
    tokens: Column
    loss: Column
    verdict: Int64[np.ndarray, " runs"]
    recipe: np.ndarray
    name: np.ndarray
    cluster: np.ndarray
    loss_se: Column
    lr_level: Column
    where: np.ndarray
    cell: Int64[np.ndarray, " runs"]
    scales: dict[str, Column]
    cells: tuple[Cell, ...]
    loss_kind: LossKind
    params_kind: ParamsKind
    dropped: tuple[Dropped, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    sources: tuple[Source, ...]
    loss_unit: str = "nats"
    seed_noise: float | None = None
    cautions: tuple[str, ...] = ()
    called: Mapping[str, str] = field(default_factory=dict)
    understood: tuple[Understood, ...] = ()
    also: str = ""

    @classmethod
    @checked(**_ARRAYS)
    def from_arrays(
        cls,
        *,
        lr: ArrayLike,
        batch: ArrayLike,
        params: ArrayLike,
        tokens: ArrayLike,
        loss: ArrayLike,
        recipe: str | ArrayLike = "",
        name: str | ArrayLike = "",
        cluster: str | ArrayLike = "",
        loss_se: ArrayLike | None = None,
        diverged: ArrayLike | None = None,
        diverged_above: float | None = None,
        verdict: ArrayLike | None = None,
        where: str | ArrayLike = "",
        scales: Mapping[str, ArrayLike] | None = None,
        loss_kind: str = "unknown",
        params_kind: str = "unknown",
        loss_unit: str = "nats",
        allow: Collection[str] = (),
        dropped: Sequence[Dropped] = (),
        notes: Sequence[str] = (),
        cautions: Sequence[str] = (),
        called: Mapping[str, str] | None = None,
        sources: Sequence[Source] = (),
    ) -> Runs:
        """Build a checked table from arrays of one entry a run.

        Args:
            lr: peak learning rate.
            batch: batch size [tokens per optimiser step].
            params: number of parameters.
            tokens: training tokens.
            loss: final loss [nats per token]; nan and inf mark a diverged run.
            recipe: one label for all runs, or one a run.
            name: one name for all runs, or one a run.
            cluster: which runs share a trunk, likewise.
            loss_se: standard error of each loss, above 0; nan where not known.
            diverged: marks beyond those that the loss itself tells.
            diverged_above: instead of looking for jumps: every run this share above its
                cell's best has diverged; infinity: none but those marked.
            verdict: of each run, where it is known already (a `Verdict` each).
            where: where each run stands, for messages: a file and line.
            scales: further scale variables by name, each positive.
            loss_kind: which loss it is (`LossKind`).
            params_kind: which parameters are counted (`ParamsKind`).
            loss_unit: of the loss: `nats` a token or `bits_per_byte`, which are kept;
                `perplexity` or `bits_per_token`, of which nats are made.
            allow: `small`, for sizes that look like a forgotten unit.
            dropped: rows left out before, for the record.
            notes: what a reader recognised and converted.
            cautions: what of that may be wrong, for the warnings.
            called: what each setting is called where it was read.
            sources: the files that the arrays came from.

        Raises:
            DataError: naming the row, counted from 0, and the field that is wrong.
        """
        kinds = checks.check_kinds(loss_kind, params_kind)
        checks.check_scale_names(scales or {})
        given = {"lr": lr, "batch": batch, "params": params, "tokens": tokens}
        given |= {"loss": loss, **dict(sorted((scales or {}).items()))}
        table = checks.numbers(given)
        losses = table["loss"]
        size = losses.size
        marks = checks.marks(diverged, size) | ~np.isfinite(losses)
        checks.check_units(table["params"], table["tokens"], allow)
        checks.check_loss_unit(loss_unit, losses)
        a_unit = checks.nats_a_unit(loss_unit, losses)
        losses, loss_unit = checks.in_nats(loss_unit, losses)
        table["loss"] = losses
        checks.check_rows(table, marks)
        recipes = checks.labels(recipe, "recipe", size)
        further = {key: table.pop(key) for key in sorted(scales or {})}
        groups = cells.group(recipes, table["params"], table["tokens"], further)
        levels = cells.snap(table["lr"])
        if verdict is None:
            found = np.zeros(size, dtype=np.int64)
            for rows in groups:
                columns = levels[rows], table["batch"][rows], losses[rows]
                found[rows] = divergence.judge(*columns, marks[rows], diverged_above)
            if diverged_above is None:
                found[divergence.impossible(losses, found)] = Verdict.IMPOSSIBLE
        else:
            found = checks.verdicts(verdict, size)
        runs = cls(
            lr=table["lr"],
            batch=table["batch"],
            params=table["params"],
            tokens=table["tokens"],
            loss=losses,
            verdict=found,
            recipe=recipes,
            name=checks.labels(name, "name", size),
            cluster=checks.labels(cluster, "cluster", size),
            loss_se=checks.standard_errors(loss_se, size) * a_unit,
            lr_level=levels,
            where=checks.labels(where, "where", size),
            cell=np.zeros(size, dtype=np.int64),
            scales=further,
            cells=(),
            loss_kind=kinds[0],
            params_kind=kinds[1],
            loss_unit=loss_unit,
            dropped=tuple(dropped),
            warnings=(),
            notes=tuple(notes),
            cautions=tuple(cautions),
            called=dict(called or {}),
            sources=tuple(sources),
        )
        return _with_cells(runs, groups)

    @property
    def diverged(self) -> Marks:
        """Marked so (status, nan, inf), or judged unstable by a jump along lr."""
        return self.verdict == Verdict.DIVERGED

    @property
    def usable(self) -> Marks:
        """Runs of the surface: neither diverged nor set aside."""
        return self.verdict == Verdict.STABLE

    def __len__(self) -> int:
        """The number of runs, diverged ones included."""
        return int(self.lr.size)

    def identifiable(self) -> dict[str, bool]:
        """Which variables the runs can tell anything about.

        lr and batch are judged within cells: an optimum needs a cell with three
        different values among its runs that did not diverge. lr_batch is their joint
        effect: it needs a cell in which both vary and not one at a time. params, tokens
        and further scales are judged across cells: they must span 0.1 in their
        logarithm.
        """
        kept = self.usable
        answer = {
            name: bool(self.levels_within_cells(values).max() >= advice.MIN_LEVELS)
            for name, values in (("lr", self.lr_level), ("batch", self.batch))
        }
        answer["lr_batch"] = answer["lr"] and answer["batch"] and self._varies_jointly()
        across = {"params": self.params, "tokens": self.tokens, **self.scales}
        for name, values in across.items():
            seen = values[kept]
            answer[name] = seen.size > 0 and bool(
                math.log(seen.max() / seen.min()) >= MIN_LOG_SPAN
            )
        return answer

    def _varies_jointly(self) -> bool:
        kept = self.usable
        groups = (kept & (self.cell == k) for k in range(len(self.cells)))
        return any(
            cells.varies_jointly(self.lr_level[rows], self.batch[rows])
            for rows in groups
            if rows.any()
        )

    @checked(values=kinds.measures)
    def levels_within_cells(self, values: Column) -> Int64[np.ndarray, " cells"]:
        """How many different values each cell's non-diverged runs take.

        Raises:
            DataError: there is not one value a run.
        """
        if values.shape != (len(self),):
            raise DataError(
                f"Expected values to be {len(self)} numbers, one a run, got an array "
                f"of shape {values.shape}."
            )
        kept = self.usable
        pairs = set(zip(self.cell[kept].tolist(), values[kept].tolist(), strict=True))
        owners = np.array([cell for cell, _ in pairs], dtype=np.int64)
        return np.bincount(owners, minlength=len(self.cells)).astype(np.int64)

    @checked()
    def repeats(self, *, any_loss: bool = False) -> list[Rows]:
        """Rows that share cell, LR level and batch but differ in loss, by setting.

        With `any_loss` also those whose losses are equal to the last digit.
        """
        groups: dict[tuple[int, float, float], list[int]] = {}
        for row in np.flatnonzero(self.usable).tolist():
            key = (
                int(self.cell[row]),
                float(self.lr_level[row]),
                float(self.batch[row]),
            )
            groups.setdefault(key, []).append(row)
        return [
            np.array(rows, dtype=np.int64)
            for _, rows in sorted(groups.items())
            if len(rows) > 1 and (any_loss or np.unique(self.loss[rows]).size > 1)
        ]

    def spikes(self) -> list[tuple[int, float]]:
        """Rows that lie 2 % or more above a chord of their neighbours, and by how much.

        They count as fitted runs, of which the weights take care; none diverged.
        """
        found: list[tuple[int, float]] = []
        for cell in range(len(self.cells)):
            rows = np.flatnonzero((self.cell == cell) & self.usable)
            columns = self.lr_level[rows], self.batch[rows], self.loss[rows]
            above = spikes.excess(*columns)
            for k in np.flatnonzero(above >= spikes.SPIKE_EXCESS).tolist():
                found.append((int(rows[k]), float(above[k])))
        return found

    @checked(mask=kinds.array)
    def subset(self, mask: ArrayLike) -> Runs:
        """The runs where `mask` [runs] is True, in their order.

        Marks of divergence, LR levels and the membership of cells stay as they were
        found among all runs; the cells' counts and best losses, and the warnings, are
        those of the subset. Provenance is kept.

        Raises:
            DataError: if `mask` is not one boolean a run, or selects nothing.
        """
        chosen = checks.marks(mask, len(self), what="mask")
        if not chosen.any():
            raise DataError(
                "Runs.subset: expected a mask that selects at least one run, got one "
                "that selects none. Look at Runs.cells for what there is."
            )
        cell = self.cell[chosen]
        columns = (*_COLUMNS, "where")
        smaller = replace(
            self,
            **{key: getattr(self, key)[chosen] for key in columns},
            cell=cell,
            scales={key: value[chosen] for key, value in self.scales.items()},
        )
        groups = [np.flatnonzero(cell == k) for k in np.unique(cell)]
        return _with_cells(smaller, groups)

    def summary(self) -> str:
        """One line: how many runs, cells, recipes, diverged and dropped."""
        counts = (
            (len(self), "run"),
            (len(self.cells), "cell"),
            (np.unique(self.recipe).size, "recipe"),
        )
        sizes = ", ".join(advice.count(number, noun) for number, noun in counts)
        dropped = advice.count(len(self.dropped), "row")
        return f"{sizes}, {int(self.diverged.sum()):,} diverged, {dropped} dropped"


def _with_cells(runs: Runs, groups: Sequence[Rows]) -> Runs:
    """`runs` with cells and warnings filled in from each cell's rows, read-only."""
    cell = np.zeros(len(runs), dtype=np.int64)
    for k, rows in enumerate(groups):
        cell[rows] = k
    filled = replace(runs, cell=cell, cells=tuple(_cell(runs, rows) for rows in groups))
    for column in (*_COLUMNS, "cell"):
        getattr(filled, column).setflags(write=False)
    for values in filled.scales.values():
        values.setflags(write=False)
    return replace(filled, warnings=tuple(_warnings(filled)))


def _cell(runs: Runs, rows: Rows) -> Cell:
    scales = {key: values[rows] for key, values in runs.scales.items()}
    return Cell(
        recipe=str(runs.recipe[rows[0]]),
        params=cells.commonest(runs.params[rows]),
        tokens=cells.commonest(runs.tokens[rows]),
        scales=tuple((key, cells.commonest(own)) for key, own in scales.items()),
        best=cells.lowest(runs.loss[rows], runs.usable[rows]),
        runs=rows.size,
        diverged=int(runs.diverged[rows].sum()),
    )


def _warnings(runs: Runs) -> Iterator[str]:
    if runs.dropped:
        rows = advice.count(len(runs.dropped), "row")
        yield f"{rows} dropped; the first is {runs.dropped[0]}."
    yield from runs.cautions
    for what, rows in advice.odd_sizes(runs.params, runs.tokens, runs.batch):
        yield advice.odd_warning(what, [_named(runs, int(row)) for row in rows])
    yield from _odd(runs)
    yield from advice.cell_warnings(runs.cells)
    for verdict, what in divergence.REASONS.items():
        rows = np.flatnonzero(runs.verdict == verdict)
        if rows.size:
            yield advice.aside_warning(what, [_named(runs, int(row)) for row in rows])
    for name, values in (("lr", runs.lr_level), ("batch", runs.batch)):
        most = int(runs.levels_within_cells(values).max())
        yield from advice.level_warnings(name, values[runs.usable], most)
    kept = runs.usable
    yield from ties.tie_warnings(runs.lr[kept], runs.batch[kept], runs.tokens[kept])
    known = runs.identifiable()
    if known["lr"] and known["batch"] and not known["lr_batch"]:
        yield advice.JOINT_WARNING
    repeats = runs.repeats()
    if repeats:
        row = int(repeats[0][0])
        first = (
            f"{runs.cells[runs.cell[row]]}, lr {format_lr(float(runs.lr[row]))}, batch "
            f"{format_tokens_exact(float(runs.batch[row]))}"
        )
        yield advice.repeat_warning(len(repeats), first)


def _odd(runs: Runs) -> Iterator[str]:
    """What looks like a slip, each with its place, column and value."""
    columns = runs.cell, runs.lr_level, runs.batch
    found = [
        *oddities.by_size(*columns, runs.cells),
        *oddities.by_setting(*columns),
    ]
    if found:
        said = [f"{_placed(runs, odd.row, odd.field)}: {odd.said}" for odd in found]
        yield advice.off_pattern_warning(said)
    keys = {key: getattr(runs, key) for key in (*SETTINGS, "recipe")} | runs.scales
    again = oddities.twice(keys, runs.loss)
    if again.size:
        yield advice.twice_warning(len(again), _named(runs, int(again[0])))
    marks = runs.lr_level, runs.loss, runs.usable
    reason = oddities.not_a_loss(runs.cell, *marks, runs.cells)
    if reason:
        yield f"{_placed(runs, 0, 'loss')}: expected a mean loss, but {reason}"
    columns = runs.lr, runs.params, runs.tokens, runs.loss
    yield from odd_columns(*columns, "" if reason else runs.loss_unit)


def _placed(runs: Runs, row: int, field: str) -> str:
    """Where a value stands: file and line, its column there, and what it is read as."""
    where = f"{runs.where[row]}, " if runs.where[row] else f"row {row}, "
    column = runs.called.get(field, quote(field))
    return f"{where}column {column}, value {getattr(runs, field)[row]:.6g}"


def _named(runs: Runs, row: int) -> str:
    """A run for people: where it stands, its settings and its loss."""
    where = f"{runs.where[row]}: " if runs.where[row] else ""
    return (
        f"{where}lr {format_lr(float(runs.lr[row]))}, batch "
        f"{format_tokens_exact(float(runs.batch[row]))}, loss {runs.loss[row]:.4g}"
    )
