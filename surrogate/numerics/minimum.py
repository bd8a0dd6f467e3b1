"""The lowest point of convex surfaces over a box, with its certificate, in both worlds.

Arrays begin with the axes of the problems; in JAX there may be none, under `jax.vmap`.
"""

from __future__ import annotations

from typing import NamedTuple

from surrogate.base.namespaces import Numbers, each, namespace, stacked
from surrogate.base.shapes import Bool, Float
from surrogate.families.taylor import Frame, Framed, Surface
from surrogate.numerics.descent import (
    CERTIFIED_GAP,
    Box,
    Search,
    box_of,
    search,
    second,
)
from surrogate.numerics.half_plane import Cut, line_of


class Minimum(NamedTuple):
    """The lowest point of a surface over a box, and how sure that is.

    Attributes:
        u: where it is, natural logs.
        value: ln L there.
        gradient: of ln L there.
        hessian: of ln L there.
        eigenvalues: of the Hessian, ascending.
        gap: no point of the box has ln L below `value - gap`.
        gradient_norm: of the projected gradient: a component that pushes against a
            bound counts as zero.
        at_bound: u lies on a bound; False where lo == hi, since that was asked for.
        converged: `gap` is at most 1e-10. False for a surface that is NaN at u.
        is_cut: u lies on the edge of the cut, beyond which the surface is lower.
        on_line: t of the lowest point on that edge; NaN without a cut.
    """

    u: Float[Numbers, "*problems d"]
    value: Float[Numbers, "*problems"]
    gradient: Float[Numbers, "*problems d"]
    hessian: Float[Numbers, "*problems d d"]
    eigenvalues: Float[Numbers, "*problems d"]
    gap: Float[Numbers, "*problems"]
    gradient_norm: Float[Numbers, "*problems"]
    at_bound: Bool[Numbers, "*problems d"]
    converged: Bool[Numbers, "*problems"]
    is_cut: Bool[Numbers, "*problems"]
    on_line: Float[Numbers, "*problems"]


def lowest(
    surface: Surface,
    start: Float[Numbers, "*problems d"],
    lo: Float[Numbers, "*more d"],
    hi: Float[Numbers, "*more d"],
    cut: Cut | None = None,
) -> Minimum:
    """Minimise over a box and within a cut that meets it.

    Args:
        surface: of every problem.
        start: where to begin [ln]; moved into the box.
        lo: lower bounds [ln], finite; lo == hi fixes a coordinate.
        hi: upper bounds [ln], finite, at least lo.
        cut: a half-plane, for d = 2.
    """
    if cut is not None:
        return _lowest_cut(surface, start, lo, hi, cut)
    box = box_of(lo, hi)
    found = search(surface.at, start[..., 0], second(start), box)
    return _minimum(found, lo, hi)


def _minimum(end: Search, lo: Numbers, hi: Numbers) -> Minimum:
    """What a search over one box found."""
    at, d = end.at, lo.shape[-1]
    xp = namespace(end.x)
    u = stacked(end.x, [end.x, end.y])[..., :d]
    gradient = stacked(end.x, [at.gx, at.gy])[..., :d]
    rows = [stacked(end.x, row) for row in ((at.hxx, at.hxy), (at.hxy, at.hyy))]
    mean, half = 0.5 * (at.hxx + at.hyy), 0.5 * (at.hxx - at.hyy)
    radius = xp.sqrt(half**2 + at.hxy**2)
    both = [mean - radius, mean + radius] if d == 2 else [at.hxx]
    is_low, is_high = u <= lo, u >= hi
    is_pushed = (is_low & (gradient > 0)) | (is_high & (gradient < 0)) | (lo == hi)
    gap = xp.where(xp.all(lo <= hi, axis=-1), end.gap, xp.nan)
    free = xp.where(is_pushed, 0.0, gradient)
    return Minimum(
        u=u,
        value=at.value,
        gradient=gradient,
        hessian=xp.stack(rows, axis=-2)[..., :d, :d],
        eigenvalues=stacked(end.x, both),
        gap=gap,
        gradient_norm=xp.sqrt(xp.sum(free**2, axis=-1)),
        at_bound=(is_low | is_high) & (lo < hi),
        converged=gap <= CERTIFIED_GAP,
        is_cut=xp.zeros_like(gap, bool),
        on_line=xp.full_like(gap, xp.nan),
    )


def _lowest_cut(
    surface: Surface, start: Numbers, lo: Numbers, hi: Numbers, cut: Cut
) -> Minimum:
    """Over the box, and along the edge of the cut: one search for both."""
    line = line_of(cut, lo, hi)
    like = start[..., 0]
    xp = namespace(like)
    middle, zero = 0.5 * (line.low + line.high), xp.zeros_like(like)

    def both(free: Numbers | float, held: Numbers | float) -> Numbers:
        return stacked(like, [zero + free, held])

    frame = Frame(
        *(
            (both(x, part[..., 0]), both(y, part[..., 1]))
            for (x, y), part in zip(
                ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)),
                (line.origin, line.along, line.across),
                strict=True,
            )
        )
    )
    box = Box(
        both(lo[..., 0], line.low),
        both(hi[..., 0], line.high),
        both(lo[..., 1], zero),
        both(hi[..., 1], zero),
    )
    x, y = both(like, middle), both(start[..., 1], zero)
    ends = search(Framed(surface.spread(), frame).at, x, y, box)
    free = _minimum(each(lambda array: array[..., 0], ends), lo, hi)
    on_line = [stacked(like, [end, zero]) for end in (line.low, line.high)]
    held = _minimum(each(lambda array: array[..., 1], ends), *on_line)
    is_cut = ~cut.holds(free.u)
    on_edge = _on_edge(held, free, frame, lo, hi, line.at(held.u[..., 0]))

    def chosen(cut: Numbers, free: Numbers) -> Numbers:
        more = (None,) * (free.ndim - is_cut.ndim)
        return xp.where(is_cut[(..., *more)], cut, free)

    found = each(chosen, on_edge, free)
    return found._replace(is_cut=is_cut, on_line=held.u[..., 0])


def _on_edge(
    held: Minimum, free: Minimum, frame: Frame, lo: Numbers, hi: Numbers, u: Numbers
) -> Minimum:
    """The lowest point on the edge of the cut, in the coordinates of the box."""
    xp = namespace(u)
    along, across = (stacked(u, [part[..., 1] for part in unit]) for unit in frame[1:])
    turn = xp.stack([along, across], axis=-1)
    u = xp.clip(u, lo, hi)
    gap = held.gap + free.gap
    return held._replace(
        u=u,
        gradient=xp.einsum("...ij,...j->...i", turn, held.gradient),
        hessian=xp.einsum("...ij,...jk,...lk->...il", turn, held.hessian, turn),
        gap=gap,
        at_bound=((u <= lo) | (u >= hi)) & (lo < hi),
        converged=gap <= CERTIFIED_GAP,
    )
