"""A law's value at one point in natural units.

A law is never evaluated where an input that it needs is missing; where an input is not
what the law was fitted to, the answer carries a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from surrogate.base.arguments import checked, instance, kinds
from surrogate.base.errors import DataError
from surrogate.base.units import format_count
from surrogate.laws.law import Law

# A type checker at run time takes no int for a float.
Number = float | int
# Parameters as the shape says, over those given: beyond this one of them is wrong.
_SHAPE_FACTOR = 1.5


class Shape(NamedTuple):
    """Layers, width of the residual stream, tokens of a sequence."""

    layers: Number
    width: Number
    seq_len: Number


@dataclass(frozen=True)
class Point:
    """What is trained.

    Attributes:
        params: parameters; all of them for a mixture of experts.
        tokens: training tokens.
        active: active parameters of a mixture of experts; None for a dense model.
        loss: final loss [nats per token], for laws that depend on it.
        shape: for laws that count the FLOPs of attention.
        compute: training FLOPs, which goes before any count of ours.
        seq_len: tokens of a sequence, for laws that count sequences.
        params_kind: what `params` counts (`data.ParamsKind`).
        is_moe: a mixture of experts, also where its active parameters are not known.
    """

    params: Number
    tokens: Number
    active: Number | None = None
    loss: Number | None = None
    shape: Shape | None = None
    compute: Number | None = None
    seq_len: Number | None = None
    params_kind: str = "unknown"
    is_moe: bool = False


class Choice(NamedTuple):
    """What a law says at a point.

    Attributes:
        lr: peak learning rate; None where the law gives none.
        batch: [tokens]; None where the law gives none.
        compute: C as used [FLOPs]; None where the law has none.
        inside: within the fitted ranges that are known; None where none is.
        warnings: what is not as the law was fitted.
    """

    lr: float | None
    batch: float | None
    compute: float | None
    inside: bool | None
    warnings: tuple[str, ...]


@checked(
    law=instance(Law, "a law (from surrogate.laws.find)"),
    point=instance(Point, "a surrogate.laws.Point"),
    is_compute_approximate=kinds.flag,
)
def evaluate(
    law: Law,
    point: Point,
    *,
    batch: Number | None = None,
    is_compute_approximate: bool = False,
) -> Choice:
    """A law's learning rate and batch at one point.

    A formula whose loss is not known is left out with a warning.

    Args:
        law: one that can be evaluated.
        point: where.
        batch: [tokens], for a law whose learning rate depends on it.
        is_compute_approximate: take C = 6 N D where the shape is not known, and say so.

    Raises:
        DataError: the law is listed only, is void at this point, or lacks something it
            needs: shape, active parameters, length of a sequence, batch.
    """
    if law.unusable:
        raise DataError(
            f"law {law.name}: expected a law that can be evaluated, but {law.unusable}."
            " `surrogate law list` shows which can."
        )
    warnings = [*_about_experts(law, point), *_about_params(law, point)]
    values = {"N": _params(law, point), "D": float(point.tokens)}
    compute = None
    if law.compute:
        compute, said = _compute(law, point, is_compute_approximate)
        warnings += said
        values["C"] = compute
    if "S" in law.needs:
        values["S"] = _sequences(law, point, batch)
    if point.loss is not None:
        values["L"] = float(point.loss)
    inside, outside = _ranges(law, values)
    found = _found(law, values)
    if law.batch is not None and "batch" not in found:
        warnings.append("Its batch depends on the final loss: add --loss to have it.")
    return Choice(
        found.get("lr"),
        found.get("batch"),
        compute,
        inside,
        (*warnings, *outside),
    )


def _found(law: Law, values: dict[str, float]) -> dict[str, float]:
    """What the law's formulas say whose variables are known."""
    for variable, limit in law.limits.items():
        if values[variable] >= limit:
            raise DataError(
                f"law {law.name}: expected {variable} below {format_count(limit)}, "
                f"where its formula ends, got {format_count(values[variable])}. Take "
                "another law."
            )
    found = {
        name: formula(values)
        for name, formula in (("lr", law.lr), ("batch", law.batch))
        if formula is not None and formula.variables <= values.keys()
    }
    if not found:
        raise DataError(
            f"law {law.name}: expected the final loss that its batch depends on, got "
            "none. Add --loss, in nats per token."
        )
    return found


def _params(law: Law, point: Point) -> float:
    if law.counts == "active" and point.active is not None:
        return float(point.active)
    return float(point.params)


def _about_experts(law: Law, point: Point) -> list[str]:
    is_moe = point.is_moe or point.active is not None
    needs_active = law.experts == "moe" or (is_moe and law.counts == "active")
    if needs_active and point.active is None:
        raise DataError(
            f"law {law.name}: expected the active parameters of a mixture of experts, "
            "got none. Add --active-params (of runs: --scale active=COLUMN)."
        )
    if law.experts == "dense" and is_moe:
        return [
            f"Fitted to dense models; of a mixture of experts we take the {law.counts} "
            "parameters."
        ]
    return []


def _about_params(law: Law, point: Point) -> list[str]:
    kind = point.params_kind
    if "N" not in law.needs or kind == "unknown" or kind == law.params:
        return []
    # Of a mixture of experts the total is what its authors took.
    if (point.is_moe or point.active is not None) and law.experts == "both":
        return []
    return [f"Its N is {_words(law.params)}, the one given {_words(kind)}."]


def _words(kind: str) -> str:
    return {
        "non_embedding": "without embeddings",
        "total": "with embeddings",
    }.get(kind, kind)


def _compute(law: Law, point: Point, is_approximate: bool) -> tuple[float, list[str]]:
    """C [FLOPs], and what is to be said of it."""
    params, shape = _params(law, point), point.shape
    if point.compute is not None:
        return float(point.compute), []
    plain = 6.0 * params * point.tokens
    if law.compute == "6N":
        return plain, []
    if shape is None:
        if is_approximate:
            return plain, ["C = 6 N D: the shape, for its exact C, is not known."]
        raise DataError(
            f"law {law.name}: expected the shape of the model, since its C counts the "
            "FLOPs of attention, got none. Add --layers, --width and --seq-len, or "
            "give --compute in FLOPs."
        )
    attention = 12.0 * shape.layers * shape.width * shape.seq_len
    if law.compute == "active":
        return (6.0 * params + attention) * point.tokens, []
    blocks = 12.0 * shape.layers * shape.width**2
    ratio = blocks / params
    said = []
    if not 1 / _SHAPE_FACTOR <= ratio <= _SHAPE_FACTOR:
        said = [
            f"12 layers width^2 = {format_count(blocks)} is far from the "
            f"{format_count(params)} parameters given: C is from the shape."
        ]
    return (6.0 * blocks + attention) * point.tokens, said


def _sequences(law: Law, point: Point, batch: Number | None) -> float:
    seq_len = point.seq_len or (point.shape.seq_len if point.shape else None)
    if batch is None or seq_len is None:
        raise DataError(
            f"law {law.name}: expected a batch and the length of a sequence, on which "
            f"its learning rate depends. Add {'' if batch else '--batch and '}"
            "--seq-len."
        )
    return batch / seq_len


def _ranges(law: Law, values: Mapping[str, float]) -> tuple[bool | None, list[str]]:
    known = {k: ends for k, ends in law.ranges.items() if k in values}
    outside = [
        f"{name} = {values[name]:.3g} is outside its fitted range, {low:.3g} to "
        f"{high:.3g}: an extrapolation."
        for name, (low, high) in known.items()
        if not low <= values[name] <= high
    ]
    return (not outside if known else None), outside
