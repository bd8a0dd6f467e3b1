"""Guesses for lr, the loss and the model's size."""

from __future__ import annotations

import re

from surrogate.data.readers.columns.differences import difference
from surrogate.data.readers.columns.guesses.seen import Seen
from surrogate.data.readers.columns.likely import likely_losses, likely_sizes
from surrogate.data.readers.columns.places import spelled
from surrogate.data.readers.columns.roles import ALIASES, LEAST_LRS, fold, loss_kind_of
from surrogate.data.readers.columns.run_names import SIZE
from surrogate.data.readers.formats.csv import parse_cell


def guess_lr(seen: Seen) -> str:
    """The peak lr: a name, a unit, a logarithm, a base times a factor; else LR."""
    header = seen.table.header
    places = list(seen.asked["lr"])
    least = seen.one(LEAST_LRS)
    if places:
        # The schedule's last value is no peak; a config comes before a summary.
        places.sort(key=lambda k: (_is_low(seen, k, least), "summary" in header[k]))
        order = ALIASES["lr"]
        low = [k for k in places if not _is_low(seen, k, least)] or places
        peaks = ("peak", "max")
        named = sorted(
            low,
            key=lambda k: (
                not any(word in fold(header[k]) for word in peaks),
                fold(header[k]) != "learning_rate",
            ),
        )
        return header[named[0]] if len(order) > 1 else header[low[0]]
    unit = seen.in_unit("lr") or seen.power("lr")
    if unit:
        return unit
    inner = seen.inner("lr")
    if inner:
        return inner
    loose = [
        name
        for name in header
        if re.search(r"(^|_)(log2_?|log10_?)?(lr|learning_rate)($|_)", fold(name))
        and fold(name) not in LEAST_LRS
    ]
    if not loose:
        # Nothing else of a run is a number below 1 in every row.
        small = [k for k in range(len(header)) if seen.is_free(k, 1e-7, 1.0)]
        return header[small[0]] if len(small) == 1 else "LR"
    power = re.search(r"(^|_)log_?(2|10)", fold(loose[0]))
    if power:
        return f"{power[2]}^{spelled(loose[0])}"
    times = [n for n in loose if re.search(r"mult|scale|factor|ratio|times", fold(n))]
    bases = [n for n in loose if n not in times]
    if not times:
        return loose[0]
    base = spelled(bases[0]) if bases else "BASE_LR"
    return f"{spelled(times[0])}*{base}"


def _is_low(seen: Seen, place: int, least: int | None) -> bool:
    """Whether an lr is the schedule's last in every row."""
    if least is None:
        return False
    cells = ((row.fields[place], row.fields[least]) for row in seen.table.rows)
    return all(parse_cell(a) == parse_cell(b) for a, b in cells)


def guess_loss(seen: Seen) -> str:
    """The loss, of validation before training; else LOSS."""
    header = seen.table.header
    ranked = sorted(
        seen.asked["loss"], key=lambda k: loss_kind_of(header[k]) != "validation"
    )
    if ranked:
        return header[ranked[0]]
    unit = seen.in_unit("loss")
    if unit:
        return unit
    loose = likely_losses(seen.table)
    relative = [text for n in header if (text := difference(seen.table, n))]
    loose = [n for n in loose if not difference(seen.table, n)]
    # A score of a validation set is called after it.
    loose += [n for n in header if fold(n) in ("val", "valid", "validation", "eval")]
    loose += [n for n in header if fold(n) == "train"]
    loose += likely_losses(seen.table, is_wide=True)
    return loose[0] if loose else relative[0] if relative else "LOSS"


def guess_params(seen: Seen) -> str:
    """The size, without embeddings before with; from a shape or FLOPs; else PARAMS."""
    places = seen.asked["params"]
    if places:
        # The fits that come with the package count without embeddings.
        names = [seen.table.header[k] for k in places]
        return min(names, key=lambda n: "non" not in fold(n))
    layers, width = seen.one(ALIASES["layers"]), seen.one(ALIASES["width"])
    if layers is not None and width is not None:
        depth, wide = seen.spelled(layers), seen.spelled(width)
        return f"12*{depth}*{wide}*{wide}"
    flops, tokens = seen.one(ALIASES["flops"]), seen.place("tokens")
    if flops is not None and tokens is not None:
        return f"{seen.spelled(flops)}/(6*{seen.spelled(tokens)})"
    sizes = [n for n in seen.table.header if n.startswith(f"{SIZE} in ")]
    return (
        seen.in_unit("params")
        or seen.inner("params")
        or seen.of_names("params")
        or next(iter(likely_sizes(seen.table, "param")), None)
        or next((spelled(name) for name in sizes), "PARAMS")
    )
