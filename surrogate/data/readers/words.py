"""What a user says of words, units and checkpoints that a table leaves open."""

from __future__ import annotations

from dataclasses import dataclass

from surrogate.data.readers.schedule import Schedule


@dataclass(frozen=True)
class Words:
    """What a user knows better than the reader.

    Attributes:
        seq_len: the length of a sequence [tokens], for batches in sequences.
        finished: further words of a status column, in small letters.
        failed: likewise; such runs never count.
        allow: `small`, for sizes that look like a forgotten unit.
        loss_unit: of the loss column; None where its name tells.
        checkpoints: what becomes of them: the `last` of a run is used, `refuse`, or
            all are `runs`.
        schedule: what the lr follows along each run; None where it is the peak.
    """

    seq_len: int | None = None
    finished: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    loss_unit: str | None = None
    checkpoints: str = "last"
    schedule: Schedule | None = None
