"""The figure: fits a second against number of problems, ours and the peers'.

    python bench/throughput_plot.py DOCUMENT.json DIR

DOCUMENT.json ends with the line that `throughput.py` printed last. Writes
throughput.png and throughput.svg. Needs matplotlib.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Draw the figure of a document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("document", type=Path)
    parser.add_argument("folder")
    arguments = parser.parse_args()
    document = json.loads(arguments.document.read_text().strip().splitlines()[-1])
    for path in draw(document, arguments.folder):
        print(path)


def draw(document: dict[str, Any], folder: str) -> list[str]:
    """Write both files; their paths, or none where matplotlib is not installed."""
    try:
        pictures = importlib.import_module("matplotlib.figure")
    except ImportError:
        print("no figure: pip install matplotlib", file=sys.stderr)
        return []
    drawn = [row for row in document["rows"] if len(row.get("sizes", [])) > 1]
    figure = pictures.Figure(
        figsize=(4.2 * max(len(drawn), 1), 4), layout="constrained"
    )
    for index, row in enumerate(drawn):
        _panel(figure.add_subplot(1, len(drawn), index + 1), row)
    figure.suptitle(
        f"{document['device_kind']}, {document['cpu']}, {document['cores']} cores, "
        f"jax {document['versions']['jax']}",
        fontsize=9,
    )
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    paths = [home / f"throughput.{kind}" for kind in ("png", "svg")]
    for path in paths:
        figure.savefig(path, dpi=150)
    return [str(path) for path in paths]


def _panel(axes: Any, row: dict[str, Any]) -> None:
    """Ours by size; a peer solves one problem after another: a level line."""
    problems = [size["problems"] for size in row["sizes"]]
    rates = [size["fits_per_s"] for size in row["sizes"]]
    axes.plot(problems, rates, "o-", color="black", label="ours")
    timed = [peer for peer in row["peers"] if "ratio" in peer]
    for number, peer in enumerate(timed):
        axes.axhline(
            peer["fits_per_s"], color=f"C{number}", ls="--", label=peer["peer"]
        )
    if row["floor"] is not None:
        most = row["floor"]["fits_per_s"]
        axes.axhline(most, color="grey", ls=":", label="floor of this machine")
    for name, rate in row.get("published", {}).items():
        axes.axhline(rate, color="grey", lw=0.6, label=f"{name}, published")
    axes.set(xscale="log", yscale="log", xlabel="problems", ylabel="fits a second")
    axes.set_title(row["row"], fontsize=9)
    # Below the axes: inside, it hides a line on one panel or another.
    axes.legend(fontsize=6, loc="upper left", bbox_to_anchor=(0.0, -0.2), ncols=2)


if __name__ == "__main__":
    main()
