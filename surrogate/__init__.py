"""From a table of finished training runs to answers about the next one.

Reads the final losses of a sweep over learning rate, batch size, parameters and
tokens; fits a surface that is convex in (ln lr, ln batch); answers where the optimum
is, how wide the plateau around it is, what a given choice loses, and how sure that is.

Names are imported when first used, so that `import surrogate` costs no JAX. A name must
not be that of a room: importing the room would put the module in its place.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from surrogate.answers import Fit, Surface, load
    from surrogate.answers.from_runs import fit
    from surrogate.answers.validation import validate
    from surrogate.base.errors import DataError, SolveError, Status
    from surrogate.data import Runs
    from surrogate.data.readers import read_runs

    __version__: str

__all__ = [
    "DataError",
    "Fit",
    "Runs",
    "SolveError",
    "Status",
    "Surface",
    "__version__",
    "fit",
    "load",
    "read_runs",
    "validate",
]

# Rooms that scripts know by a shorter name.
_ROOMS = {"plots": "surrogate.views.plots", "report": "surrogate.views.explorer"}
_HOME = {
    "DataError": "surrogate.base.errors",
    "Fit": "surrogate.answers",
    "Runs": "surrogate.data",
    "SolveError": "surrogate.base.errors",
    "Status": "surrogate.base.errors",
    "Surface": "surrogate.answers",
    "fit": "surrogate.answers.from_runs",
    "load": "surrogate.answers",
    "read_runs": "surrogate.data.readers",
    "validate": "surrogate.answers.validation",
}


def __getattr__(name: str) -> object:
    """Import a public name from its room when it is first asked for."""
    if name == "__version__":
        from importlib import metadata

        return metadata.version("loss-surrogate")
    if name in _ROOMS:
        return importlib.import_module(_ROOMS[name])
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'surrogate' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})
