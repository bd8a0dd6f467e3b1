"""The best loss as a law of the scales S: ln(E + (sum_j A_j S_j^-alpha_j)^gamma).

With gamma 1 it is Hoffmann et al. 2022, equation 2; with E 0, Kaplan et al. 2020,
equation 1.5: what one scale gains depends on the others. The data decide in between.
Of one scale gamma would be alpha's own.

"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from surrogate.base.namespaces import Array, Numbers, jax, jnp, log_sum_exp, namespace
from surrogate.base.shapes import Float


class Values(NamedTuple):
    """The law and its derivatives in t = (ln E, each ln A_j S_j^-alpha_j, ln gamma)."""

    level: Float[Numbers, "... n"]
    first: list[Float[Numbers, "... n"]]
    second: list[list[Float[Numbers, "... n"]]]
    """Upper triangle: `second[i][k]` is the derivative in t_i and t_(i + k)."""


class Parameters(NamedTuple):
    """What the law's part of a theta holds.

    Attributes:
        log_rest: ln E.
        log_amounts: ln A_j, a scale each.
        log_powers: ln alpha_j, likewise.
        log_gamma: ln gamma; empty where the law is not bent.
    """

    log_rest: Numbers
    log_amounts: Numbers
    log_powers: Numbers
    log_gamma: Numbers


@dataclass(frozen=True)
class Law:
    """The law over so many scales; gamma is a parameter or, not bent, 1."""

    scales: int
    is_bent: bool

    @property
    def size(self) -> int:
        """Number of parameters."""
        return 1 + 2 * self.scales + self.is_bent

    def unpack(self, theta: Numbers) -> Parameters:
        """By name: ln E comes first, then ln A_j and ln alpha_j a scale, ln gamma."""
        end = 1 + 2 * self.scales
        return Parameters(
            theta[..., 0], theta[..., 1:end:2], theta[..., 2:end:2], theta[..., end:]
        )

    @cached_property
    def places(self) -> Parameters:
        """Where a theta holds each."""
        return self.unpack(np.arange(self.size))

    def log_loss(
        self, theta: Float[Numbers, " k"], s: Float[Numbers, " scales"]
    ) -> Numbers:
        """The law: ln(E + (sum_j A_j S_j^-alpha_j)^gamma) at ln of the scales."""
        log_rest, log_amounts, log_powers, log_gamma = self.unpack(theta)
        if not self.scales:
            return log_rest
        xp = namespace(theta)
        power = log_sum_exp(log_amounts - xp.exp(log_powers) * s)
        if self.is_bent:
            power = xp.exp(log_gamma[0]) * power
        return xp.logaddexp(log_rest, power)

    def prior(self) -> tuple[np.ndarray, np.ndarray]:
        """Centre and precision: Hoffmann's law, free to bend as far as Kaplan's.

        Alpha 0.35 is what Besiroglu et al. 2024 find in Hoffmann's data (0.348 and
        0.366). Standard deviation 3 of amounts, 0.3 of ln alpha, 1 of ln gamma. As
        alpha nears 0 a term becomes a constant, E's own; the narrower prior keeps that
        valley finite, and says how far the law may be carried beyond the data.
        """
        centre, precision = np.zeros(self.size), np.full(self.size, 1 / 9.0)
        at = self.places
        centre[at.log_rest] = np.log(0.6)
        centre[at.log_amounts], centre[at.log_powers] = np.log(0.1), np.log(0.35)
        precision[at.log_powers] = 1 / 0.3**2
        precision[at.log_gamma] = 1.0
        return centre, precision

    def pattern(self, choices: int) -> tuple[list[int], list[int]]:
        """Term and coordinate, of (1, u, s), of each coefficient: t of `values`."""
        term, coordinate = [0], [0]
        for j in range(self.scales):
            term += [1 + j, 1 + j]
            coordinate += [0, 1 + choices + j]
        if self.is_bent:
            term.append(1 + self.scales)
            coordinate.append(0)
        return term, coordinate

    def coefficients(self, theta: Float[Numbers, "*problems k"]) -> Numbers:
        """The coefficients that `pattern` places: decay built in."""
        xp = namespace(theta)
        is_decay = np.isin(np.arange(self.size), self.places.log_powers)
        decay = -xp.exp(xp.where(is_decay, theta, 0.0))
        return xp.where(is_decay, decay, theta)

    def level(self, terms: Float[Numbers, "t ..."]) -> Numbers:
        """The law alone, at t of `values`."""
        xp = namespace(terms)
        if not self.scales:
            return terms[0]
        power = log_sum_exp(terms[1 : 1 + self.scales])
        if self.is_bent:
            power = power * xp.exp(terms[1 + self.scales])
        return xp.logaddexp(terms[0], power)

    def values(self, terms: Sequence[Float[Numbers, "... n"]]) -> Values:
        """The law, its gradient and its Hessian at t."""
        xp = namespace(terms[0])
        one, scales = xp.ones_like(terms[0]), self.scales
        if not scales:
            return Values(terms[0], [one], [[0 * one]])
        inner = xp.stack([*terms[1 : 1 + scales]])
        total = log_sum_exp(inner)
        shares = list(xp.exp(inner - total[None]))
        gamma = xp.exp(terms[1 + scales]) if self.is_bent else one
        power = gamma * total
        level = xp.logaddexp(terms[0], power)
        rest = xp.exp(power - level)
        # Of `power`, 0 for ln E; then of level = ln(e^t_0 + e^power).
        slope = [0 * one, *(gamma * share for share in shares)]
        bend = [[0 * one] * (1 + scales - i) for i in range(1 + scales)]
        for i in range(scales):
            bend[1 + i] = [
                slope[1 + i] * (float(k == i) - shares[k]) for k in range(i, scales)
            ]
        if self.is_bent:
            for row, own in zip(bend, slope, strict=True):
                row.append(own)
            slope.append(power)
            bend.append([power])
        first = [rest * each for each in slope]
        first[0] = 1 - rest
        second = []
        for i, row in enumerate(bend):
            off = slope[i] - float(i == 0)
            others = slope[i:] if i else [slope[0] - 1, *slope[1:]]
            second.append(
                [
                    rest * (own + (1 - rest) * off * other)
                    for own, other in zip(row, others, strict=True)
                ]
            )
        return Values(level, first, second)

    def to_solver(self, theta: Float[Array, " k"]) -> Float[Array, " k"]:
        """Ln of level and slopes at s = 0 for ln E and each ln A_j; the rest as it is.

        They are what the data know. In theta the valley in which E and A_j trade places
        is long, bent and thin; here it lies along ln alpha_j and ln gamma.
        """
        if not self.scales:
            return theta
        log_rest, amounts, powers, _ = self.unpack(theta)
        log_gamma, at = self._log_gamma(theta), self._amounts
        total = jax.nn.logsumexp(amounts)
        power = jnp.exp(log_gamma) * total
        v = theta.at[0].set(jnp.logaddexp(log_rest, power))
        return v.at[at].set(amounts + powers + log_gamma + power - total)

    def from_solver(self, v: Float[Array, " k"]) -> Float[Array, " k"]:
        """Parameters; NaN where nothing is left for E."""
        if not self.scales:
            return v
        level, slopes, powers, _ = self.unpack(v)
        log_gamma, at = self._log_gamma(v), self._amounts
        parts = slopes - powers
        total = jax.nn.logsumexp(parts)
        power = total - log_gamma
        left = jnp.exp(level) - jnp.exp(power)
        amounts = parts - total + jnp.exp(-log_gamma) * power
        return v.at[0].set(jnp.log(left)).at[at].set(amounts)

    @property
    def _amounts(self) -> slice:
        """Where `unpack` finds ln A_j: a slice, which a program writes at once."""
        return slice(1, 1 + 2 * self.scales, 2)

    def _log_gamma(self, theta: Float[Array, " k"]) -> Float[Array, ""]:
        return theta[-1] if self.is_bent else jnp.zeros((), theta.dtype)
