"""Which unit a column of counts probably has: millions, billions, by its neighbours.

Tokens over parameters, and steps, are only plausible in one of the usual units.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

_FACTORS = {"params": ("1e6", "1e9", "1e3"), "tokens": ("1e9", "1e6", "1e12", "1e3")}
# Tokens a parameter, and steps, of a training that is none by mistake.
_RATIO, _LEAST_STEPS = (0.5, 2_000.0), 50.0
_PARAMS = (1e4, 5e12)
_USUAL_RATIO = 20.0
# Below, a whole column of these is in another unit (as `unit_fault` has it).
_LEAST = {"params": 1e4, "tokens": 1e6}


def are_plausible(params: float, tokens: float, batch: float) -> bool:
    """Whether sizes are those of a training as they stand."""
    is_ratio = _RATIO[0] <= tokens / params <= _RATIO[1]
    return is_ratio and tokens >= _LEAST_STEPS * batch


def likely_factors(columns: Mapping[str, np.ndarray]) -> dict[str, str]:
    """What params and tokens are to be multiplied by; empty where nothing fits.

    Args:
        columns: params, tokens and batch as they stand [runs].
    """
    middle = {key: float(np.median(columns[key])) for key in ("params", "tokens")}
    batch = float(np.median(columns["batch"]))
    if min(*middle.values(), batch) <= 0:
        return {}
    small = {key for key in middle if columns[key].max() < _LEAST[key]}
    choices = {key: _FACTORS[key] if key in small else ("1",) for key in middle}
    found: list[tuple[float, dict[str, str]]] = []
    for of_params in choices["params"]:
        for of_tokens in choices["tokens"]:
            params = middle["params"] * float(of_params)
            tokens = middle["tokens"] * float(of_tokens)
            if not _PARAMS[0] <= params <= _PARAMS[1]:
                continue
            if are_plausible(params, tokens, batch):
                pair = {"params": of_params, "tokens": of_tokens}
                off = abs(math.log(tokens / params / _USUAL_RATIO))
                found.append((off, {k: v for k, v in pair.items() if v != "1"}))
    return min(found, key=lambda item: item[0])[1] if found else {}
