"""trainer_state.json of Hugging Face's Trainer: one run, as its log tells it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from surrogate.data.readers.formats.values import Number

_SCALARS = ("max_steps", "num_input_tokens_seen", "total_flos")


def is_trainer_state(value: Any) -> bool:
    """Whether a JSON document is such a file."""
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("log_history"), list)
        and "global_step" in value
        and all(isinstance(entry, Mapping) for entry in value["log_history"])
    )


def record_of(file: str, state: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The run as one record, and what was made of it.

    Args:
        file: its path; the folder's name is the run's.
        state: the document.
    """
    log = state["log_history"]
    rates = [_number(entry.get("learning_rate")) for entry in log]
    record: dict[str, Any] = {"run": os.path.basename(os.path.dirname(file)) or file}
    known = [rate for rate in rates if rate is not None]
    if known:
        record["learning_rate"] = repr(max(known))
    for name in ("eval_loss", "loss"):
        values = [entry[name] for entry in log if entry.get(name) is not None]
        if values:
            record["train_loss" if name == "loss" else name] = values[-1]
    for name in _SCALARS:
        value = _number(state.get(name))
        if value:
            record[name] = state[name]
    if state.get("train_batch_size") is not None:
        # What one process takes at once, without accumulation.
        record["per_device_train_batch_size"] = state["train_batch_size"]
    reached, planned = _number(state["global_step"]), _number(state.get("max_steps"))
    if reached is not None and planned is not None:
        record["status"] = "finished" if reached >= planned else "running"
    note = (
        f"{file}: a Trainer's state, read as one run: the largest of {len(known)} "
        "logged learning rates is its peak, the last losses are its own"
    )
    return record, note


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Number):
        return None
    try:
        return float(value)
    except ValueError:
        return None
