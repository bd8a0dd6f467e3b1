"""What all figures share: matplotlib when it is asked for, one style, saving, axes.

matplotlib is in the extra `plot`, so that no module here imports it on its own.
Figures are made without pyplot: no window, no state that outlives them.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from surrogate.base.arguments import Kind, checked, kinds
from surrogate.base.errors import DataError
from surrogate.base.files import write_whole
from surrogate.base.units import format_count, quote

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".png", ".svg", ".pdf")
STYLE = Path(__file__).with_name("surrogate.mplstyle")
# Okabe and Ito's colours by what they stand for.
INK, BEST, PLATEAU = "#000000", "#D55E00", "#0072B2"
CHOICE, EDGE, QUIET = "#CC79A7", "#B03A00", "#777777"
LABELS = {
    "lr": "peak learning rate",
    "batch": "batch size [tokens]",
    "params": "parameters N",
    "tokens": "training tokens D",
}
# An axis shorter than this many decades also names 2 and 5 of each.
_FEW_DECADES = 2.6


def library(module: str) -> Any:
    """A module of matplotlib, or matplotlib itself ("").

    Raises:
        DataError: it is not installed.
    """
    try:
        return importlib.import_module(f"matplotlib.{module}".rstrip("."))
    except ImportError as error:
        raise DataError(
            "Plots need matplotlib, which is not installed. Install the extra: "
            'pip install "loss-surrogate[plot]".'
        ) from error


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The house's style, for what is drawn inside."""
    with library("style").context(STYLE):
        yield


def panels(
    rows: int, columns: int, width: float | int, height: float | int, **shared: Any
) -> np.ndarray:
    """Axes of a new figure, rows x columns; width and height in inches."""
    with style():
        figure = library("figure").Figure(figsize=(width, height), layout="constrained")
        return figure.subplots(rows, columns, squeeze=False, **shared)


def axis(axes: Axes | None, width: float | int, height: float | int) -> Axes:
    """These axes, or those of a new figure of so many inches."""
    return panels(1, 1, width, height)[0, 0] if axes is None else axes


def row(
    axes: np.ndarray | None,
    count: int,
    width: float | int,
    height: float | int,
    **shared: Any,
) -> np.ndarray:
    """So many axes side by side: these, or those of a new figure."""
    if axes is None:
        axes = panels(1, count, width, height, **shared).ravel()
    return np.atleast_1d(axes)


def check_axes(*counts: int, is_grid: bool = False) -> Kind:
    """What an argument must be that is so many axes.

    Raises:
        DataError: naming it.
    """

    def kind(name: str, value: Any) -> Any:
        if len(_axes_of(value)) not in counts or (is_grid and value.ndim != 2):
            many = " or ".join(str(count) for count in counts)
            what = f"an array of {many} axes" if counts != (1,) else "matplotlib's axes"
            raise kinds.fault(name, what, value)
        return value

    return kind


def _axes_of(value: Any) -> list[Any]:
    """The axes in a value; none where anything in it is something else."""
    items = list(value.flat) if isinstance(value, np.ndarray) else [value]
    are_axes = (hasattr(i, "get_figure") and not isinstance(i, type) for i in items)
    return items if all(are_axes) else []


def any_axes(name: str, value: Any) -> Any:
    """What an argument must be that is axes, one or an array of them."""
    if not _axes_of(value):
        raise kinds.fault(name, "axes, one or an array of them", value)
    return value


@checked(out=kinds.path)
def check_out(out: str | Path, *, overwrite: bool = False) -> Path:
    """Where a figure will go, before anything is computed.

    Raises:
        DataError: its suffix is unknown, its folder is not there, or it exists.
    """
    path = Path(out)
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(
            f"--out: expected a file that ends in {', '.join(SUFFIXES)}, got "
            f"{quote(path.name)}."
        )
    if not path.parent.is_dir():
        raise DataError(
            f"--out: there is no folder {quote(str(path.parent))}. Make it first."
        )
    if path.is_dir() or (path.exists() and not overwrite):
        raise DataError(
            f"--out: {quote(str(path))} exists. Name another file"
            f"{'' if path.is_dir() else ', or add --overwrite'}."
        )
    return path


@checked(drawn=any_axes, out=kinds.path)
def save(drawn: Axes | np.ndarray, out: str | Path, *, overwrite: bool = False) -> Path:
    """Write the figure of these axes, all of it or nothing; no date inside.

    Raises:
        DataError: as `check_out`.
        OSError: the file cannot be written.
    """
    path = check_out(out, overwrite=overwrite)
    kind = path.suffix.lower()[1:]
    figure = _axes_of(drawn)[0].get_figure()
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    page = io.BytesIO()
    with style():
        figure.savefig(page, format=kind, metadata=undated.get(kind))
    write_whole(path.resolve(), page.getvalue())
    return path


def text(value: str, limit: int = 40) -> str:
    """Text from data, safe to draw: one line, printable, no formula in it."""
    return quote(value, limit)[1:-1].replace("$", r"\$")


def loss_label(unit: str) -> str:
    """Of a loss axis, in the unit of the fit."""
    name = "nats per token" if unit == "nats" else unit.replace("_", " ")
    return f"loss [{name}]"


def log_axis(axis: Any, name: str, ends: tuple[float, float] | None = None) -> None:
    """A logarithmic axis with its label and few, readable ticks.

    Args:
        axis: `xaxis` or `yaxis` of axes.
        name: one of `LABELS`.
        ends: what it shows, natural units; None leaves what is drawn.
    """
    ticker = library("ticker")
    across = axis.axis_name
    getattr(axis.axes, f"set_{across}scale")("log")
    if ends is not None:
        getattr(axis.axes, f"set_{across}lim")(*ends)
    low, high = getattr(axis.axes, f"get_{across}lim")()
    short = math.log10(high / low) < _FEW_DECADES
    axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5) if short else (1,)))
    axis.set_minor_locator(ticker.LogLocator(subs=range(2, 10), numticks=99))
    axis.set_minor_formatter(ticker.NullFormatter())
    forms = _POWERS if name == "lr" else _COUNTS

    def write(value: float, _: int | None) -> str:
        shown = [v for v in axis.get_majorticklocs() if low <= v <= high]
        return shortest(shown, forms)(value)

    axis.set_major_formatter(ticker.FuncFormatter(write))
    axis.set_label_text(LABELS[name])


Form = Callable[[float], str]


def shortest(values: Sequence[float], forms: Sequence[Form]) -> Form:
    """The first form that writes no two of these values alike; else the last."""
    for form in forms:
        if len({form(value) for value in values}) == len(values):
            return form
    return forms[-1]


def _power(value: float, digits: int = 0) -> str:
    """5e-4 and not 5e-04 or 0.0005."""
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


_POWERS: tuple[Form, ...] = tuple(partial(_power, digits=n) for n in range(4))
_COUNTS: tuple[Form, ...] = (format_count, "{:,.0f}".format)


def sequence(count: int, last: float = 0.9) -> list[tuple[float, ...]]:
    """So many colours of viridis in order, without its palest end."""
    viridis = library("").colormaps["viridis"]
    return [tuple(row) for row in viridis(np.linspace(0, last, count))]


def cross(
    axes: Axes,
    at: Sequence[float],
    interval: Sequence[tuple[float, float]],
    level: float,
    what: str = "optimum",
) -> None:
    """The answer with its interval along each axis; no bar where that is not known.

    The limits of the axes are set before: an arrow at the border, in place of a cap,
    says that the interval goes on.
    """
    views = [sorted(axes.get_xlim()), sorted(axes.get_ylim())]
    interval = [_opened(ends) for ends in interval]
    errors = [
        None
        if np.isnan(ends).any()
        else np.abs(np.clip(ends, view[0], view[1]) - value)[:, None]
        for value, ends, view in zip(at, interval, views, strict=True)
    ]
    beyond = [
        (i, side)
        for i, (ends, view) in enumerate(zip(interval, views, strict=True))
        for side in (0, 1)
        if errors[i] is not None and not view[0] <= ends[side] <= view[1]
    ]
    known = [i for i, error in enumerate(errors) if error is not None]
    label = f"{what}, {level:.0%} interval" if known else what
    drawn = axes.errorbar(
        [at[0]],
        [at[1]],
        xerr=errors[0],
        yerr=errors[1],
        fmt="o",
        color=BEST,
        markeredgecolor="white",
        markeredgewidth=0.7,
        markersize=6,
        capsize=3,
        elinewidth=1.6,
        zorder=6,
        label=f"{label}, beyond the border at an arrow" if beyond else label,
    )
    # Caps come in pairs, of each axis that has an interval.
    for i, side in beyond:
        drawn.lines[1][2 * known.index(i) + side].set_visible(False)
        tip = list(at)
        tip[i] = views[i][side]
        style = {"color": BEST, "markersize": 8, "clip_on": False, "zorder": 6}
        axes.plot(tip[:1], tip[1:], ("<>", "v^")[i][side], **style)


def _opened(ends: tuple[float, float]) -> tuple[float, float]:
    """An interval of which one end is not known goes on beyond every border."""
    low, high = ends
    if math.isnan(low) == math.isnan(high):
        return ends
    return (0.0 if math.isnan(low) else low, math.inf if math.isnan(high) else high)


def legend_below(axes: Axes, columns: int, gap: float = 0.2) -> None:
    """A legend under one of several axes, where it hides nothing."""
    axes.legend(
        loc="upper left", bbox_to_anchor=(-0.02, -gap), ncols=columns, borderaxespad=0
    )


def legend(axes: Axes, columns: int, *, is_own: bool) -> None:
    """The one legend of a figure: under all where the figure is ours.

    Args:
        axes: whose labels are listed.
        columns: of the legend.
        is_own: the figure was made here.
    """
    handles, labels = axes.get_legend_handles_labels()
    if is_own:
        axes.figure.legend(handles, labels, loc="outside lower left", ncols=columns)
    else:
        axes.legend(handles, labels)
