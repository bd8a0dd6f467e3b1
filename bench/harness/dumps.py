"""Where the released dumps are: SURROGATE_DATA, by default ../shared/data."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def data_dir() -> Path:
    """The folder of released dumps; ends the program where there is none."""
    folder = Path(os.environ.get("SURROGATE_DATA", ROOT / "../shared/data")).resolve()
    if not folder.is_dir():
        sys.exit(f"no released dumps at {folder}: set SURROGATE_DATA to them")
    return folder
