"""Columns that hold a logarithm of a setting: log10(lr), -log2 lr, ln_lr, lr (log10).

They are proposed as a power, never taken by themselves. A plain `log` does not say its
base: where the numbers do not tell either, BASE is left to fill in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from surrogate.data.readers.columns.roles import role_of

_EULER = "2.718281828459045"
_BASES = {"log10": "10", "lg": "10", "log2": "2", "ln": _EULER, "loge": _EULER}
_BEFORE = re.compile(
    r"\s*(-|neg(?:ative)?[ _]|minus[ _]?)?\s*(log_?10|log_?2|log_?e|lg|ln|log)"
    r"[\s_]*[(\[]?\s*(.+?)\s*[)\]]?\s*",
    re.IGNORECASE,
)
_BEHIND = re.compile(
    r"\s*(.+?)[\s_]*[(\[,]\s*(-|neg )?\s*(log_?10|log_?2|ln|lg|log)"
    r"\s*(?:scale)?[)\]]?\s*",
    re.IGNORECASE,
)
# Below, no learning rate is the power of 10, and of these the least is one of e.
_LEAST_POWER = -6.6


def power_of(
    name: str, role: str, numbers: Sequence[float], spelled: str
) -> str | None:
    """How a role is written in terms of a column of its logarithm, or None.

    Args:
        name: of the column.
        role: what it would be the logarithm of.
        numbers: the column's cells.
        spelled: the name as an expression takes it.
    """
    found = _taken_apart(name)
    if found is None or not numbers:
        return None
    sign, base, rest = found
    is_batch = role == "batch" and role_of(rest) == "sequences"
    if role_of(rest) != role and not is_batch:
        return None
    known = _BASES.get(base)
    if known is None and role == "lr":
        low = -max(numbers) if sign else min(numbers)
        known = _EULER if low < _LEAST_POWER else None
    power = f"{known or 'BASE'}^{spelled}"
    return f"1/{power}" if sign else power


def _taken_apart(name: str) -> tuple[str, str, str] | None:
    """The sign, the kind of logarithm and what it is of."""
    before = _BEFORE.fullmatch(name)
    if before:
        sign, kind, rest = before[1], before[2], before[3]
    else:
        behind = _BEHIND.fullmatch(name)
        if behind is None:
            return None
        rest, sign, kind = behind[1], behind[2], behind[3]
    return (sign or "").strip(), kind.lower().replace("_", ""), rest
