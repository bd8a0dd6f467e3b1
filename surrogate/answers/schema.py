"""What the manifest of a fit must say: types, units, signs, lengths, and their accord.

The seal of a folder tells that it is as it was written, not that a right program wrote
it. What is not known here may stand in a manifest, so that fits of later versions load.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from surrogate.answers import agreeing
from surrogate.answers.agreeing import ANY, LOG
from surrogate.answers.expected import (
    Check,
    count,
    flag,
    maybe,
    number,
    one_of,
    plain,
    record,
    rows,
    table,
    text,
)
from surrogate.base.arguments.numbers import LEAST, MOST
from surrogate.base.defaults import LOSS_KINDS, PARAMS_KINDS
from surrogate.data.coordinates import CHOICES
from surrogate.families import MIX, NAMES

_SIZE = number(LEAST, MOST)
_SHARE = number(0.0, 100.0)
_NOISE = ("cell", "floor", "growth")
_TERMS = maybe(count(2, 64))
_FAMILY = one_of(MIX, *NAMES)
_SCORE = record(dict.fromkeys(("mean", "median", "max", "se"), maybe(ANY)))
_LEAVES = record(
    {
        "is_settled": maybe(flag),
        "relative_gradient": maybe(ANY),
        "steps": maybe(count()),
        "second_best_start": maybe(ANY),
        **dict.fromkeys(("draws_unsettled", "draws_singular"), maybe(count())),
        "leaves_unsettled": maybe(count()),
        "draws_block": maybe(count()),
        "draws_interrupted": maybe(flag),
    }
)
_SOURCE = record(
    {"file": text, "sha256": text, "rows": count()}, ("file", "sha256", "rows")
)
_DROPPED = record(
    {"file": text, "line": count(), "column": text, "value": text, "reason": text}
)


def check(manifest: Mapping[str, Any]) -> None:
    """Refuse a manifest that describes no fit of ours.

    Raises:
        Unlike: naming the place, what must be there, and what is.
    """
    plain(manifest)
    record(_WHOLE, _NEEDED)(manifest, "manifest")
    agreeing.check(manifest)


_LINE = record(
    {"slopes": rows(LOG), "low": LOG, "high": LOG}, ("slopes", "low", "high")
)
_STANDARDISATION = record(
    {
        "choices": rows(one_of(*CHOICES), once=True),
        "givens": rows(text, once=True),
        "recipes": rows(text, once=True),
        "mean": rows(LOG),
        "scale": rows(number(1e-12, 1e6)),
        "level": LOG,
        "fitted": table(rows(_SIZE, size=2)),
        "lines": table(_LINE),
    },
    ("choices", "givens", "recipes", "mean", "scale", "level", "fitted"),
)
_STABILITY = record(
    {
        "names": rows(text, once=True),
        "centre": rows(_SIZE),
        "slope": rows(ANY),
        "intercept": ANY,
        "diverged": count(),
        "runs": count(),
    },
    ("names", "centre", "slope", "intercept", "diverged", "runs"),
)
_CELL = record(
    {
        "recipe": text,
        "params": _SIZE,
        "tokens": _SIZE,
        "scales": table(_SIZE),
        "runs": count(1),
        "diverged": count(),
        "lr": rows(_SIZE),
        "batch": rows(_SIZE),
        "around": table(rows(LOG, size=2)),
        "unstable": rows(rows(_SIZE, size=2)),
    },
    ("recipe", "params", "tokens", "scales", "runs", "diverged", "lr", "batch"),
)
_DIRECTION = record(
    {
        **dict.fromkeys(("levels", "low", "high", "groups", "capped"), count()),
        **dict.fromkeys(("is_curved", "is_hill", "is_low", "is_high"), flag),
        **dict.fromkeys(("above", "below"), maybe(_SIZE)),
        "ends": rows(_SIZE, size=2),
    }
)
_LAW = ("cells", "usual", "level", "settings", "freedom", "regret", "regions")
_DISCREPANCY = record(
    {
        "cells": rows(rows(LOG)),
        **dict.fromkeys(("usual", "level"), number(0.0, 1e6)),
        "settings": rows(number(0.0, 1e6)),
        "freedom": number(1.0, 1e6),
        "regret": maybe(number(0.0, 1e6)),
        "regions": count(),
    },
    _LAW,
)
_SELECTION = record(
    {
        "protocol": text,
        "chosen": text,
        "margin": maybe(ANY),
        **dict.fromkeys(("totals", "shares", "weights"), maybe(table(maybe(ANY)))),
        "folds": rows(text),
        "parts": table(table(table(maybe(ANY)))),
        "distance_rank_correlation": maybe(number(-1.0, 1.0)),
        "distance_rank_correlations": maybe(table(maybe(number(-1.0, 1.0)))),
    }
)
_PROVENANCE = record(
    {
        "sources": rows(_SOURCE),
        "versions": table(text),
        "created": text,
        "seed": count(),
        "bootstrap": count(),
        "device": text,
        "backend": text,
        **dict.fromkeys(("runs", "diverged", "dropped"), count()),
        "fit": _LEAVES,
        "selection": maybe(_SELECTION),
    }
)
_RUNS = record(
    {
        "loss_kind": one_of(*LOSS_KINDS),
        "loss_unit": one_of("nats", "bits_per_byte"),
        "params_kind": one_of(*PARAMS_KINDS),
        "scales": rows(text, once=True),
        "also": text,
        "seed_noise": maybe(_SHARE),
        "dropped": rows(_DROPPED),
        "notes": rows(text),
        "sources": rows(_SOURCE),
    }
)
_WHOLE: dict[str, Check] = {
    "family": _FAMILY,
    "k": _TERMS,
    "members": maybe(rows(record({"family": _FAMILY, "k": _TERMS}, ("family", "k")))),
    "units": table(text),
    "loss_kind": one_of(*LOSS_KINDS),
    "loss_unit": one_of("nats", "bits_per_byte"),
    "params_kind": one_of(*PARAMS_KINDS),
    "about": table(text),
    "standardisation": _STANDARDISATION,
    "noise": record(dict.fromkeys(_NOISE, _SHARE), _NOISE),
    "stability": maybe(_STABILITY),
    "cells": rows(_CELL),
    "freedom": maybe(count(1)),
    "clusters": count(),
    "evidence": table(_DIRECTION),
    "discrepancy": maybe(_DISCREPANCY),
    "scores": table(maybe(_SCORE)),
    "is_converged": flag,
    "provenance": _PROVENANCE,
    "warnings": rows(text),
    "runs": maybe(_RUNS),
}
_NEEDED = (
    "family",
    "noise",
    "standardisation",
    "cells",
    "units",
    "loss_kind",
    "params_kind",
)
