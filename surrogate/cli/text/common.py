"""The text of each answer, made from its JSON document so that the two agree.

Every function takes a document and returns what `rich` can print. Strings go in as
plain text: nothing that a file holds is read as markup or reaches the terminal as a
control character.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from surrogate.base import shown, units
from surrogate.base.errors import Status
from surrogate.cli.output import plain

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

Document = dict[str, Any]
Row = tuple[str, str]
# A whole number in JSON is an int; unknown is null.
Number = float | int | None
Form = Callable[[Number], str]

_UNKNOWN = "unknown"


def lr(value: Number) -> str:
    """A learning rate in three digits: 1.06e-3."""
    return _UNKNOWN if value is None else shown.lr(value, 3)


def batch(value: Number) -> str:
    """A batch in whole tokens, every digit."""
    if value is None:
        return _UNKNOWN
    return f"{units.format_tokens_exact(round(value))} tokens"


def loss(value: Number) -> str:
    """A loss in nats per token."""
    return _UNKNOWN if value is None else f"{value:.4f}"


def percent(value: Number) -> str:
    """A share in two digits: 0.25 %."""
    return _UNKNOWN if value is None else shown.percent(value)


def with_error(value: float, error: float) -> str:
    """A share and its standard error, to the same decimals: 0.096 ± 0.013 %."""
    said = percent(value).removesuffix(" %")
    if not said.replace(".", "").replace(",", "").isdigit():
        return f"{percent(value)} ± {percent(error)}"
    places = len(said.partition(".")[2])
    return f"{said} ± {100 * error:.{places}f} %"


def count(value: Number) -> str:
    """A number of parameters or tokens, three digits and a suffix."""
    return _UNKNOWN if value is None else units.format_count(value)


def unit(document: Document) -> str:
    """The unit of an answer's losses."""
    name = str(document.get("loss_unit") or "nats")
    return "nats per token" if name == "nats" else name.replace("_", " ")


def span(ends: Sequence[Number] | None, form: Form) -> str:
    """Two ends, or that there are none."""
    low, high = ends or (None, None)
    if low is None or high is None:
        if low is None and high is None:
            return "none"
        return f"below {form(high)}" if low is None else f"above {form(low)}"
    ends_shown = (form(low), form(high))
    return ends_shown[0] if len(set(ends_shown)) == 1 else " to ".join(ends_shown)


def edges(part: Document | None, form: Form) -> str:
    """The interval of a plateau from its `low` and `high`, with its width if known."""
    if not part:
        return "none"
    text = span((part.get("low"), part.get("high")), form)
    octaves = part.get("octaves")
    return text if octaves is None else f"{text} ({units.format_octaves(octaves)})"


def title(text: str) -> RenderableType:
    """A bold line."""
    from rich.text import Text

    return Text(plain(text), style="bold")


def plain_line(text: str) -> RenderableType:
    """A line of plain text, wrapped."""
    from rich.text import Text

    return Text(plain(text))


def command(text: str) -> RenderableType:
    """A command to type, never broken across lines."""
    from rich.text import Text

    return Text(plain(text), style="bold", no_wrap=True)


def grid(rows: Iterable[Row]) -> Table:
    """Names on the left, values on the right."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(name, style="cyan"), Text(plain(value)))
    return table


def columns(
    names: Sequence[str],
    rows: Iterable[Sequence[str]],
    left: Sequence[str] = (),
    kept: Sequence[int] = (),
) -> Table:
    """A table with a header.

    Args:
        names: of the columns.
        rows: their cells.
        left: columns of words; the others hold numbers.
        kept: columns whose cells are not broken, by place.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="cyan", padding=(0, 2, 0, 0))
    for k, name in enumerate(names):
        justify = "left" if name in left else "right"
        # A name is not broken where something else can be.
        table.add_column(name, justify=justify, overflow="fold", no_wrap=k in kept)
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    return table


def first(
    items: Sequence[Any], limit: int, what: str, whole: str
) -> tuple[Sequence[Any], list[RenderableType]]:
    """The first items, and a line that tells how many more there are, if any."""
    if len(items) <= limit:
        return items, []
    more = f"... and {len(items) - limit:,} more {what}: {whole} lists all."
    return items[:limit], [title(more)]


def place(document: Document, params: str = "parameters") -> str:
    """Where the question stands: sizes, recipe and further scales."""
    parts = [
        f"{count(document.get('params'))} {params}",
        f"{count(document.get('tokens'))} tokens",
    ]
    budget = document.get("from_flops")
    if budget:
        parts[-1] += f" ({budget['flops']:.3g} FLOPs)"
    scales = document.get("scales") or {}
    parts += [f"{name} {count(value)}" for name, value in scales.items()]
    if document.get("recipe"):
        parts.append(f"recipe {document['recipe']}")
    return ", ".join(parts)


def common(document: Document) -> list[Row]:
    """The closing rows that every answer has."""
    extrapolation = document.get("extrapolation") or {}
    distance = extrapolation.get("distance")
    rows: list[Row] = []
    if distance is not None:
        where = "inside" if extrapolation.get("inside") else "outside: an extrapolation"
        if distance <= 1 and not extrapolation.get("inside"):
            where = "outside: fewer than two fitted cells are near"
        rows.append(("fitted range", f"{where} (distance {distance:.2f}, edge 1)"))
    rows.append(
        (
            "model",
            f"{document.get('family') or _UNKNOWN}, "
            f"loss {document.get('loss_kind') or _UNKNOWN}",
        )
    )
    status = document.get("status")
    if status is not None:
        said = Status(status).sentence
        if status == Status.at_bound and document.get("one_sided"):
            said = "The runs tell one side of the optimum only: the warnings say which."
        if document.get("transfer") and document.get("lr") is not None:
            said = "Carried here by a published law; not found in these runs."
        rows.append(("status", f"{status}: {said}"))
    return rows


def level(interval: Document | None) -> str:
    """How sure an interval is, as a short name."""
    share = (interval or {}).get("level")
    return "interval" if share is None else f"{shown.percent(share)} interval"
