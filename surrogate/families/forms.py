"""Every family at given scales in one form: a quadratic of u and sums of exponentials.

    f(u) = c + b.u + u'A u / 2 + sum_g w_g sum_k exp(c_k + e_k.u)
                               + sum_g w_g ln sum_k exp(c_k + e_k.u)

so that one value, one gradient and one Hessian serve all. Coefficients at the scales
are computed once. Arrays begin with the axes of the problems. explorer/assets/family.js
is the same in the page.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from surrogate.base.namespaces import Numbers, log_sum_exp, namespace, product
from surrogate.base.shapes import Float
from surrogate.families.bowl import Bowl
from surrogate.families.mix import Mix
from surrogate.families.posynomial import Posynomial
from surrogate.families.protocol import Family
from surrogate.families.quadratic import Quadratic
from surrogate.families.taylor import Local


@dataclass(frozen=True)
class Exponentials:
    """Exponentials of affine functions of u, summed, times a weight.

    Attributes:
        is_log: it is the log of their sum that counts.
        weight: of each problem.
        constant: of each affine function, first axis.
        of_x: its exponent of x.
        of_y: its exponent of y.
    """

    is_log: bool
    weight: Float[Numbers, " ..."]
    constant: Float[Numbers, "terms ..."]
    of_x: Float[Numbers, "terms ..."]
    of_y: Float[Numbers, "terms ..."]

    def _parts(self, x: Numbers, y: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """Exponentials over that of `top`, their sum, and `top`: 0 of a plain sum."""
        xp = namespace(x)
        exponents = self.constant + self.of_x * x[None] + self.of_y * y[None]
        if not self.is_log:
            part = xp.exp(exponents)
            return part, part.sum(axis=0), xp.zeros_like(x)
        top = exponents.max(axis=0)
        part = xp.exp(exponents - top[None])
        return part, part.sum(axis=0), top

    def value(self, x: Numbers, y: Numbers) -> Numbers:
        """At a place of every problem."""
        _, total, top = self._parts(x, y)
        if self.is_log:
            total = namespace(x).log(total) + top
        return self.weight * total

    def at(self, x: Numbers, y: Numbers) -> Local:
        """With its derivatives."""
        part, total, top = self._parts(x, y)
        if self.is_log:
            part = part / total[None]
            total = namespace(x).log(total) + top
        by_x, by_y = part * self.of_x, part * self.of_y
        gx, gy = by_x.sum(axis=0), by_y.sum(axis=0)
        hxx = (by_x * self.of_x).sum(axis=0)
        hxy = (by_x * self.of_y).sum(axis=0)
        hyy = (by_y * self.of_y).sum(axis=0)
        if self.is_log:
            hxx, hxy, hyy = hxx - gx * gx, hxy - gx * gy, hyy - gy * gy
        return Local(*(self.weight * each for each in (total, gx, gy, hxx, hxy, hyy)))

    def on_grid(self, x: Numbers, y: Numbers) -> Numbers:
        """At all pairs of x [..., m] and y [..., n]: products of exponentials.

        Counted from the middle, where the exponents are moderate.
        """
        xp = namespace(x)
        middle = 0.5 * (x.min(axis=-1) + x.max(axis=-1))
        centre = 0.5 * (y.min(axis=-1) + y.max(axis=-1))
        base = self.constant + self.of_x * middle[None] + self.of_y * centre[None]
        top = base.max(axis=0) if self.is_log else xp.zeros_like(middle)
        off_x, off_y = x - middle[..., None], y - centre[..., None]
        by_x = xp.exp(
            (base - top[None])[..., None] + self.of_x[..., None] * off_x[None]
        )
        by_y = xp.exp(self.of_y[..., None] * off_y[None])
        total = product(xp.moveaxis(by_x, 0, -1), xp.moveaxis(by_y, 0, -2))
        if self.is_log:
            total = xp.log(total) + top[..., None, None]
        return self.weight[..., None, None] * total

    def spread(self) -> Exponentials:
        """Append an axis behind those of the problems."""
        return Exponentials(
            self.is_log,
            self.weight[..., None],
            self.constant[..., None],
            self.of_x[..., None],
            self.of_y[..., None],
        )


@dataclass(frozen=True)
class Form:
    """A surface over u of every problem.

    Attributes:
        quadratic: its coefficients, the expansion at u = 0.
        groups: of exponentials.
    """

    quadratic: Local
    groups: tuple[Exponentials, ...]

    def value(self, x: Numbers, y: Numbers) -> Numbers:
        """Ln loss, relative to the fit's level."""
        q = self.quadratic
        slope_x, slope_y = self._slopes(x, y)
        value = q.value + 0.5 * ((q.gx + slope_x) * x + (q.gy + slope_y) * y)
        return sum((group.value(x, y) for group in self.groups), start=value)

    def at(self, x: Numbers, y: Numbers) -> Local:
        """With its derivatives."""
        q = self.quadratic
        slope_x, slope_y = self._slopes(x, y)
        value = q.value + 0.5 * ((q.gx + slope_x) * x + (q.gy + slope_y) * y)
        found = Local(value, slope_x, slope_y, q.hxx, q.hxy, q.hyy)
        for group in self.groups:
            own = group.at(x, y)
            found = Local(*(a + b for a, b in zip(found, own, strict=True)))
        return found

    def on_grid(self, x: Numbers, y: Numbers) -> Numbers:
        """Values at all pairs of x [..., m] and y [..., n] of every problem."""
        q = Local(*(part[..., None] for part in self.quadratic))
        along_x = q.value + (q.gx + 0.5 * q.hxx * x) * x
        along_y = (q.gy + 0.5 * q.hyy * y) * y
        crossed = (q.hxy * x)[..., None] * y[..., None, :]
        value = along_x[..., None] + along_y[..., None, :] + crossed
        return sum((group.on_grid(x, y) for group in self.groups), start=value)

    def _slopes(self, x: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
        q = self.quadratic
        return q.gx + q.hxx * x + q.hxy * y, q.gy + q.hxy * x + q.hyy * y

    def spread(self) -> Form:
        """Append an axis behind those of the problems."""
        longer = Local(*(part[..., None] for part in self.quadratic))
        return Form(longer, tuple(group.spread() for group in self.groups))


def form(
    family: Family,
    theta: Float[Numbers, "*thetas p"],
    s: Float[Numbers, "*places g"],
) -> Form:
    """The surfaces of thetas at scales, as their leading axes broadcast."""
    if isinstance(family, Mix):
        return _mean(family, theta, s)
    if isinstance(family, Quadratic):
        return _of_quadratic(family, theta, s)
    assert isinstance(family, Bowl | Posynomial), family
    return _of_exponentials(family, theta, s)


def _mean(family: Mix, theta: Numbers, s: Numbers) -> Form:
    """Members' forms, each times its weight."""
    weights, members = family.unpack(theta)
    groups: list[Exponentials] = []
    total = Local(*[_zeros(theta, s)] * 6)
    for m, (member, theta_of) in enumerate(zip(family.members, members, strict=True)):
        weight = weights[..., m]
        own = form(member, theta_of, s)
        parts = zip(total, own.quadratic, strict=True)
        total = Local(*(known + weight * part for known, part in parts))
        groups += [
            Exponentials(g.is_log, weight * g.weight, g.constant, g.of_x, g.of_y)
            for g in own.groups
        ]
    return Form(total, tuple(groups))


def _zeros(theta: Numbers, s: Numbers) -> Numbers:
    """Of every problem."""
    shape = np.broadcast_shapes(theta.shape[:-1], s.shape[:-1])
    return namespace(theta).zeros(shape, theta.dtype)


def _of_quadratic(family: Quadratic, theta: Numbers, s: Numbers) -> Form:
    """The polynomial of x and y, all else given."""
    choices, scales, recipes = family.shape
    inner = choices + scales
    names, zero = family.unpack(theta), _zeros(theta, s)
    given = [s[..., i] for i in range(scales + recipes)]
    value = zero + names.constant
    slopes, bends = [zero, zero], {(0, 0): zero, (0, 1): zero, (1, 1): zero}
    for i in range(inner):
        own = names.slopes[..., i]
        if i < choices:
            slopes[i] = slopes[i] + own
        else:
            value = value + own * given[i - choices]
    for k, (i, j) in enumerate(np.stack(family.pairs, axis=1).tolist()):
        own = names.products[..., k]
        if i >= choices:
            value = value + own * given[i - choices] * given[j - choices]
        elif j >= choices:
            slopes[i] = slopes[i] + own * given[j - choices]
        else:
            bends[i, j] = bends[i, j] + own * (2.0 if i == j else 1.0)
    for i, r in np.ndindex(inner, recipes):
        step = names.steps[..., i, r] * given[scales + r]
        if i < choices:
            slopes[i] = slopes[i] + step
        else:
            value = value + step * given[i - choices]
    for r in range(recipes):
        value = value + names.offsets[..., r] * given[scales + r]
    return Form(Local(value, *slopes, *bends.values()), ())


def _of_exponentials(family: Bowl | Posynomial, theta: Numbers, s: Numbers) -> Form:
    """What depends on the scales alone is one number, or one more exponential."""
    scales = family.shape.scales
    zero = _zeros(theta, s)
    xp = namespace(zero)
    constant, of_x, of_y = _affine(family, theta, s, zero)
    offset = zero
    own = family.unpack(theta).offsets
    for r in range(family.shape.offsets):
        offset = offset + own[..., r] * s[..., scales + r]
    is_log = isinstance(family, Posynomial)
    if is_log:
        law = 1 + scales
        base = log_sum_exp(xp.stack(constant[:law]), axis=0)
        constant = [base, *constant[law:]]
        of_x, of_y = [zero, *of_x[law:]], [zero, *of_y[law:]]
    else:
        law = len(constant) - family.shape.choices - 2
        level = family.law.level(xp.stack(constant[:law]))
        offset = offset + level - xp.exp(constant[law])
        constant, of_x, of_y = (p[law + 1 :] for p in (constant, of_x, of_y))
    group = Exponentials(
        is_log, zero + 1.0, xp.stack(constant), xp.stack(of_x), xp.stack(of_y)
    )
    return Form(Local(offset, *[zero] * 5), (group,))


def _affine(
    family: Bowl | Posynomial, theta: Numbers, s: Numbers, zero: Numbers
) -> tuple[list[Numbers], list[Numbers], list[Numbers]]:
    """Affine functions of u at s: constants, and exponents of x and y."""
    pattern, choices = family.pattern, family.shape.choices
    coefficients = family.coefficients(theta)
    constant, of_x, of_y = ([zero] * pattern.terms for _ in range(3))
    for k, (t, i) in enumerate(zip(pattern.term, pattern.coordinate, strict=True)):
        own = coefficients[..., k]
        if i == 0:
            constant[t] = constant[t] + own
        elif i > choices:
            constant[t] = constant[t] + own * s[..., i - 1 - choices]
        elif i == 1:
            of_x[t] = of_x[t] + own
        else:
            of_y[t] = of_y[t] + own
    return constant, of_x, of_y


def log_losses(
    family: Family, theta: Float[Numbers, "*thetas p"], z: Float[Numbers, "*places k"]
) -> Numbers:
    """`Family.log_loss` of points (u, s), as leading axes broadcast."""
    choices = family.shape.choices
    y = z[..., 1] if choices == 2 else 0.0 * z[..., 0]
    zero = _zeros(theta, z)
    return form(family, theta, z[..., choices:]).value(z[..., 0] + zero, y + zero)
