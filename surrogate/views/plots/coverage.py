"""Coverage: how often intervals hold the truth, by setting and interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from surrogate.base.arguments import checked
from surrogate.views.plots import canvas, documents

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Panels, and the intervals in each with their labels.
_PANELS: dict[str, dict[str, str]] = {
    "optimum's lr": {"lr": ""},
    "optimum's batch": {"batch": ""},
    "lowest loss": {"loss": ""},
    "plateau edges": {
        "lr_low": "edge, lr low",
        "lr_high": "edge, lr high",
        "batch_low": "edge, batch low",
        "batch_high": "edge, batch high",
    },
    "regret": {},
}
_MARKS = "osD^v"


@checked(axes=canvas.check_axes(5))
def plot_coverage(
    document: Mapping[str, Any], axes: np.ndarray | None = None
) -> np.ndarray:
    """Coverage with its Monte-Carlo error, a row each setting, a panel each interval.

    Args:
        document: what `bench/coverage.py` printed last.
        axes: where to draw, five; default a new figure.

    Raises:
        DataError: a row lacks something, or matplotlib is not installed.
    """
    try:
        return _draw(document, axes)
    except (KeyError, TypeError) as error:
        raise documents.malformed("coverage", error) from error


def _draw(document: Mapping[str, Any], axes: np.ndarray | None) -> np.ndarray:
    rows = document["rows"]
    with canvas.style():
        height = 0.27 * len(rows) + 1.9
        drawn = canvas.row(axes, len(_PANELS), 11, height, sharey=True)
        least = min(_of(row, name)[0] for row in rows for name in _names(row))
        for one, (title, names) in zip(drawn, _PANELS.items(), strict=True):
            _panel(one, title, names or _regrets(rows), rows, document["level"])
            one.set_xlim(100 * max(0.0, least - 0.04), 101.5)
        drawn[0].set_yticks(range(len(rows)), [_label(row) for row in rows])
        drawn[0].set_ylim(len(rows) - 0.4, -0.6)
        if axes is None:
            _legend(drawn[-2:])
    return drawn


def _panel(
    axes: Axes,
    title: str,
    names: Mapping[str, str],
    rows: list[dict[str, Any]],
    level: float,
) -> None:
    axes.axvline(100 * level, color=canvas.INK, linewidth=1, linestyle="--")
    offsets = np.linspace(-0.25, 0.25, len(names)) if len(names) > 1 else [0.0]
    for k, (name, label) in enumerate(names.items()):
        known = [(i, *_of(row, name)) for i, row in enumerate(rows)]
        at, share, error = np.array(known).T
        axes.errorbar(
            100 * share,
            at + offsets[k],
            xerr=100 * np.stack([error, np.minimum(error, 1 - share)]),
            fmt=_MARKS[k],
            color=f"C{k}",
            markersize=4,
            elinewidth=1,
            capsize=1.5,
            label=label or None,
        )
    axes.set_title(title)
    axes.set_xlabel("coverage [%]")
    axes.grid(axis="y", visible=False)
    for i in range(1, len(rows), 2):
        axes.axhspan(i - 0.5, i + 0.5, color="#F4F4F4", linewidth=0, zorder=0)


def _legend(axes: np.ndarray) -> None:
    """One row for the plateau's edges and one for regrets."""
    parts = [one.get_legend_handles_labels() for one in axes]
    handles, labels = (
        [item for both in zip(parts[0][k], parts[1][k], strict=False) for item in both]
        for k in (0, 1)
    )
    axes[0].figure.legend(handles, labels, loc="outside lower right", ncols=4)


def _label(row: Mapping[str, Any]) -> str:
    return canvas.text(f"{row['family']}, n {row['simulations']}: {row['setting']}", 80)


def _regrets(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Regrets by the choice that is asked about, in multiples of the tolerance."""
    return {name: f"regret of a choice at {name}" for name in rows[0]["regret"]}


def _names(row: Mapping[str, Any]) -> list[str]:
    return [*row["intervals"], *row["regret"]]


def _of(row: Mapping[str, Any], name: str) -> tuple[float, float]:
    """Share covered and its Monte-Carlo error."""
    found = {**row["intervals"], **row["regret"]}[name]
    return found["coverage"], found["error"]
