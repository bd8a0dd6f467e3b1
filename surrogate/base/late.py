"""Modules that are imported when they are first used."""

from __future__ import annotations

import importlib
from typing import Any


class Late:
    """A module that is imported when it is first used."""

    def __init__(self, name: str) -> None:
        """Of this dotted name."""
        self._name = name

    def __getattr__(self, name: str) -> Any:
        """What the module has by that name."""
        return getattr(importlib.import_module(self._name), name)
