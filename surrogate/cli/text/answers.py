"""The text of optimum, plateau and regret: first the number to use, then how sure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from surrogate.base import units
from surrogate.cli.text import common
from surrogate.cli.text.common import Document, Form, Row

if TYPE_CHECKING:
    from rich.console import RenderableType

_EXTENTS: tuple[tuple[str, Form], ...] = (
    ("lr", common.lr),
    ("batch", common.count),
    ("lr_at_optimal_batch", common.lr),
    ("batch_at_optimal_lr", common.count),
)
_EDGES: tuple[tuple[str, Form], ...] = (
    ("lr_low", common.lr),
    ("lr_high", common.lr),
    ("batch_low", common.count),
    ("batch_high", common.count),
)


def optimum(document: Document) -> list[RenderableType]:
    """The optimum, its interval and its certificate."""
    interval = document.get("interval") or {}
    rows = _offer(document) + _carried(document)
    if document.get("loss") is not None:
        rows = [
            ("lr", common.lr(document.get("lr"))),
            ("batch", common.batch(document.get("batch"))),
            ("loss", f"{common.loss(document['loss'])} {common.unit(document)}"),
            *_scan(document.get("scan")),
        ]
    rows += [
        (f"{name}, {common.level(interval)}", common.span(interval[name], form))
        for name, form in (
            ("lr", common.lr),
            ("batch", common.count),
            ("loss", common.loss),
        )
        if interval.get(name)
    ]
    rows += _stability(document) if document.get("loss") is not None else []
    gap = (document.get("certificate") or {}).get("gap")
    if gap is not None:
        rows.append(("certificate", f"within {gap:.1e} of the lowest ln loss"))
    return [
        common.title(f"Optimum for {common.place(document)}"),
        common.grid([*rows, *common.common(document)]),
    ]


def _carried(document: Document) -> list[Row]:
    """What a published law carried there: the answer, or an offer with its command."""
    found = document.get("transfer")
    if not found:
        return []
    start, laws = found["from"], found["laws"]
    name = f"{found['law']}'s exponents, not these runs'"
    at = f"lr {common.lr(found['lr'])}, batch {common.batch(found['batch'])}"
    rows: list[Row] = [("published offer", f"{at}: {name}")]
    if document.get("lr") is not None:
        rows = [
            ("lr", common.lr(document["lr"])),
            ("batch", common.batch(document["batch"])),
            ("carried by", name),
        ]
    rows.append((f"lr, {len(laws)} laws", common.span(found["lr_range"], common.lr)))
    if found["batch_range"]:
        number = sum(law["batch"] is not None for law in laws)
        ends = common.span(found["batch_range"], common.count)
        rows.append((f"batch, {number} laws", ends))
    where = (
        f"{common.count(start['params'])} parameters, {common.count(start['tokens'])}"
    )
    own = start["interval"]["lr"]
    sure = f" ({common.span(own, common.lr)})" if own else ""
    best = f"lr {common.lr(start['lr'])}{sure}, batch {common.batch(start['batch'])}"
    rows.append(("carried from", f"{where} tokens: {best}, by these runs"))
    if found.get("command"):
        rows.append(("to take it", found["command"]))
    return rows


def _scan(scan: Document | None) -> list[Row]:
    """What was held instead of the sizes, and how sure the sizes are."""
    if not scan:
        return []
    rows: list[Row] = [
        (name, form(scan[name]))
        for name, form in (("steps", common.count), ("flops", "{:.3g}".format))
        if name in scan
    ]
    spans = scan.get("interval") or {}
    return rows + [
        (f"{name}, 95% interval", common.span(spans[name], common.count))
        for name in ("params", "tokens")
        if spans.get(name) and spans[name][0] < spans[name][1]
    ]


def plateau(document: Document) -> list[RenderableType]:
    """The plateau: optimum, extents, slices, area, and how sure they are."""
    rows: list[Row] = [
        *(_offer(document) or _best(document)),
        *(
            (name.replace("_", " "), common.edges(document[name], form))
            for name, form in _EXTENTS
            if document.get(name)
        ),
    ]
    at_batch, at_lr = document.get("lr_at_batch"), document.get("batch_at_lr")
    if at_batch:
        name = f"lr at {common.batch(at_batch.get('batch'))}"
        rows.append((name, common.edges(at_batch, common.lr)))
    if at_lr:
        name = f"batch at lr {common.lr(at_lr.get('lr'))}"
        rows.append((name, common.edges(at_lr, common.count)))
    if document.get("loss_min") is not None:
        rows.append(
            (
                "loss",
                f"{common.loss(document['loss_min'])} at the optimum, up to "
                f"{common.loss(document['loss_limit'])} on the plateau",
            )
        )
    far = document.get("largest_batch")
    if far:
        where = f"{common.batch(far['batch'])} at lr {common.lr(far['lr'])}"
        rows.append(("largest batch", where))
    area = document.get("area_octaves2")
    if area is not None:
        rows.append(("area", f"{area:.3g} octaves of lr x octaves of batch"))
    if document.get("loss_min") is not None:
        rows += _plateau_sureness(document)
    tolerance = common.percent(document.get("tol"))
    return [
        common.title(f"Plateau within {tolerance} for {common.place(document)}"),
        common.grid([*rows, *common.common(document)]),
    ]


def _plateau_sureness(document: Document) -> list[Row]:
    rows: list[Row] = []
    interval = document.get("interval") or {}
    rows += [
        (
            f"{edge.replace('_', ' ')}, {common.level(interval)}",
            common.span(interval[edge], form),
        )
        for edge, form in _EDGES
        if interval.get(edge)
    ]
    rows += _robust(document.get("robust"))
    if document.get("open_edges"):
        rows.append(("open edges", ", ".join(map(str, document["open_edges"]))))
    return rows + _stability(document)


def _robust(robust: Document | None) -> list[Row]:
    """What is inside in most draws, or how near any setting comes to that."""
    if not robust:
        return []
    name = f"inside in {common.percent(robust.get('probability'))} of draws"
    if not robust.get("lr") and not robust.get("batch"):
        most = common.percent(robust.get("max_probability"))
        return [(name, f"no (lr, batch) is that safe: at most {most}")]
    rows = [
        (f"robust {part}", common.edges(robust[part], form))
        for part, form in (("lr", common.lr), ("batch", common.count))
        if robust.get(part)
    ]
    pieces = robust.get("pieces") or 1
    more = "" if pieces == 1 else f"; the nearest of {pieces} pieces"
    return [*rows, ("robust means", f"{name}{more}")]


def regret(document: Document) -> list[RenderableType]:
    """What a present choice loses, and whether it is on the plateau."""
    interval = document.get("interval") or {}
    bounds = interval.get("regret")
    probability = document.get("probability_inside")
    inside = document.get("inside")
    if document.get("regret") is None:
        rows = [
            ("lr", common.lr(document.get("lr"))),
            ("batch", common.batch(document.get("batch"))),
            *common.common(document),
        ]
        return [common.title(f"Regret for {common.place(document)}"), common.grid(rows)]
    is_open = bool(document.get("one_sided"))
    than = ", against the best that was tried" if is_open else ""
    rows: list[Row] = [("regret", f"{common.percent(document.get('regret'))}{than}")]
    if bounds is not None:
        sure = common.level(interval).removesuffix(" interval")
        rows.append((f"at most, {sure} sure", common.percent(bounds[1])))
    if inside is None:
        why = "the best may lie beyond what was tried"
        rows.append(("on the plateau", f"not known: {why}"))
    else:
        rows.append(("on the plateau", "yes" if inside else "no"))
    if probability is not None:
        rows.append(("probability of that", f"{probability:.2f} that it is inside"))
    rows += [
        ("lr", common.lr(document.get("lr"))),
        ("batch", common.batch(document.get("batch"))),
        (
            "loss",
            f"{common.loss(document.get('loss'))} here, "
            f"{common.loss(document.get('loss_min'))} at the optimum",
        ),
        *_best(document),
        *_changes(document),
        *_stability(document),
    ]
    return [
        common.title(f"Regret for {common.place(document)}"),
        common.grid([*rows, *common.common(document)]),
    ]


def _changes(document: Document) -> list[Row]:
    """What changing lr alone, or batch alone, is worth."""
    rows: list[Row] = []
    for name, form in (("lr", common.lr), ("batch", common.batch)):
        change = (document.get("change") or {}).get(name)
        if not change:
            continue
        value = (
            f"best {form(change['best'])}, regret {common.percent(change['regret'])}"
        )
        if change.get("within_tol") is not None:
            enough = form(change["within_tol"])
            value += f"; {enough} is within {common.percent(document.get('tol'))}"
        rows.append((f"changing {name} alone", value))
    return rows


def _best(document: Document) -> list[Row]:
    """The settings to use, where they are known."""
    best = document.get("optimum") or {}
    if best.get("lr") is None or best.get("batch") is None:
        return []
    return [
        ("optimum", f"lr {common.lr(best['lr'])}, batch {common.batch(best['batch'])}")
    ]


def _stability(document: Document) -> list[Row]:
    stability = document.get("stability") or {}
    probability = stability.get("probability")
    if probability is None:
        return [("diverges", f"not known: too few runs tell{_unstable(document)}")]
    octaves, most = stability.get("octaves_to_edge"), stability.get("p_max")
    edge = ""
    if octaves is not None:
        side = "below" if octaves >= 0 else "beyond"
        edge = (
            f", {units.format_octaves(abs(octaves))} of lr {side} the "
            f"{common.percent(most)} edge"
        )
    rows = [("diverges", f"with probability {probability:.2g}{edge}")]
    if stability.get("cuts"):
        rows.append(("cut by that edge", ", ".join(map(str, stability["cuts"]))))
    return rows


def _unstable(document: Document) -> str:
    """The lowest lr that went unstable near by, where one did."""
    found = document.get("unstable")
    if not found:
        return ""
    where = f"batch {common.batch(found['batch'])}, {common.count(found['params'])}"
    return (
        f"; the lowest lr that went unstable near by is {common.lr(found['lr'])} "
        f"({where} parameters)"
    )


def _offer(document: Document) -> list[Row]:
    """What can be had where the question itself cannot be answered."""
    offer = document.get("offer")
    if not offer:
        return []
    where = (
        f"lr {common.lr(offer.get('lr'))} at batch {common.batch(offer.get('batch'))}"
    )
    return [("offered instead", where)]
