"""The figure: fits a second against number of problems, ours and the peers'.

    python bench/speed/throughput_plot.py DOCUMENT.json DIR

DOCUMENT.json ends with the line that `throughput.py` printed last. Writes
throughput.png and throughput.svg, as `surrogate plot throughput` does. Needs
matplotlib.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from surrogate.base.errors import DataError
from surrogate.views import plots


def main() -> None:
    """Draw the figure of a document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("document", type=Path)
    parser.add_argument("folder")
    arguments = parser.parse_args()
    for path in draw(plots.read(arguments.document, "throughput"), arguments.folder):
        print(path)


def draw(document: dict[str, Any], folder: str) -> list[str]:
    """Write both files; their paths, or none where there is nothing to draw with."""
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    try:
        axes = plots.plot_throughput(document)
    except DataError as error:
        print(f"no figure: {error}", file=sys.stderr)
        return []
    paths = [home / f"throughput.{kind}" for kind in ("png", "svg")]
    return [str(plots.save(axes, path, overwrite=True)) for path in paths]


if __name__ == "__main__":
    main()
