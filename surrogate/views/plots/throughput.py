"""Throughput: fits a second against the number of problems, ours and the peers'."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from surrogate.base.arguments import checked
from surrogate.base.errors import DataError
from surrogate.views.plots import canvas, documents

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 3
_STYLES = ("--", "-.", (0, (5, 1, 1, 1, 1, 1)))


@checked(axes=canvas.any_axes)
def plot_throughput(
    document: Mapping[str, Any], axes: np.ndarray | None = None
) -> np.ndarray:
    """A panel each row of the benchmark that was timed at several sizes.

    A peer solves one problem after another: a level line.

    Args:
        document: what `bench/throughput.py` printed last.
        axes: where to draw, one a panel; default a new figure.

    Raises:
        DataError: no row has several sizes, a row lacks something, or matplotlib is
            not installed.
    """
    try:
        rows = [row for row in document["rows"] if len(row.get("sizes", [])) > 1]
        if not rows:
            raise DataError("plot throughput: no row was timed at several sizes.")
        return _draw(document, rows, axes)
    except (KeyError, TypeError) as error:
        raise documents.malformed("throughput", error) from error


def _draw(
    document: Mapping[str, Any], rows: list[dict[str, Any]], axes: np.ndarray | None
) -> np.ndarray:
    with canvas.style():
        if axes is None:
            columns = min(len(rows), _COLUMNS)
            lines = -(-len(rows) // columns)
            every = canvas.panels(lines, columns, 3.8 * columns, 4.1 * lines).ravel()
            for spare in every[len(rows) :]:
                spare.set_axis_off()
            axes = np.asarray(every[: len(rows)])
        for one, row in zip(axes, rows, strict=True):
            _panel(one, row)
        axes[0].figure.suptitle(
            canvas.text(
                f"{document['device_kind']}, {document['cpu']}, {document['cores']} "
                f"cores, jax {document['versions']['jax']}",
                120,
            ),
            fontsize=9,
        )
    return axes


def _panel(axes: Axes, row: Mapping[str, Any]) -> None:
    sizes = row["sizes"]
    axes.plot(
        [size["problems"] for size in sizes],
        [size["fits_per_s"] for size in sizes],
        "o-",
        color=canvas.INK,
        label="ours",
        zorder=4,
    )
    levels = [
        (peer["peer"], peer["fits_per_s"]) for peer in row["peers"] if "ratio" in peer
    ]
    for number, (name, rate) in enumerate(levels):
        style = _STYLES[number // 6 % len(_STYLES)]
        axes.axhline(
            rate,
            color=f"C{number % 6}",
            linestyle=style,
            label=canvas.text(name, 48),
        )
    if row["floor"] is not None:
        most = row["floor"]["fits_per_s"]
        axes.axhline(
            most, color=canvas.QUIET, linestyle=":", label="floor of this machine"
        )
    for number, (name, rate) in enumerate(row.get("published", {}).items()):
        axes.axhline(
            rate,
            color=canvas.QUIET,
            linewidth=0.8,
            linestyle=("-", (0, (6, 3)))[number % 2],
            label=canvas.text(f"{name}, published", 48),
        )
    axes.set(xscale="log", yscale="log", xlabel="problems", ylabel="fits a second")
    axes.set_title(canvas.text(row["row"]))
    canvas.legend_below(axes, 1, 0.2)
