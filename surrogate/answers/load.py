"""The public verb `load`."""

from __future__ import annotations

from pathlib import Path

from surrogate.answers import saving
from surrogate.answers.fit import Fit
from surrogate.base.arguments import checked, kinds


@checked(name=kinds.path)
def load(name: str | Path) -> Fit:
    """A fit from the folder it was saved to, or by the name of a bundled one.

    Args:
        name: a folder; else a bundled name such as `steplaw-dense`. `bundled:NAME` is
            the bundled one even where a folder has that name.

    Raises:
        DataError: there is no such fit, or it cannot be trusted.
    """
    return saving.read(name, Fit)
