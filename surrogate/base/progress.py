"""Who is told how far a reading or a download is."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Told what runs and how far it is; the CLI draws it."""

    def start(self, task: str, total: int) -> None:
        """A task of `total` units begins."""
        ...

    def advance(self, n: int = 1) -> None:
        """`n` more units are done."""
        ...
