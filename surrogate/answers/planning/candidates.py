"""The runs that could be made: round settings around the best of each size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from surrogate.answers import arrays
from surrogate.answers.planned import Wanted
from surrogate.answers.planning.places import Place, places_of
from surrogate.answers.planning.target import Target
from surrogate.base.errors import DataError
from surrogate.base.shapes import Bool, Float64, Int64
from surrogate.base.units import format_count
from surrogate.families.forms import form
from surrogate.fitting.model import Model

# Half octaves of lr and octaves of batch on each side of the best.
_LR_STEPS, _BATCH_STEPS = 5, 3
# A run that much above the best of its size tells how bad it is and little else.
_MOST_EXCESS = 0.1
# Sizes, and settings, that are one.
_SAME, _SAME_SETTING = 1e-3, 0.02


@dataclass(frozen=True)
class Candidates:
    """Runs to choose from, one an entry of each array.

    Attributes:
        places: sizes.
        place: which of them.
        settings: lr and batch, natural units; NaN for one that the fit does not see.
        log_settings: [ln] of what the fit chooses.
        flops: of each.
        probability: that it diverges; 0 where the runs cannot tell.
        excess: of fitted ln loss over the best of its size.
        slope: of ln loss in ln of the settings.
    """

    places: tuple[Place, ...]
    place: Int64[np.ndarray, " m"]
    settings: Mapping[str, Float64[np.ndarray, " m"]]
    log_settings: Float64[np.ndarray, "m choices"]
    flops: Float64[np.ndarray, " m"]
    probability: Float64[np.ndarray, " m"]
    excess: Float64[np.ndarray, " m"]
    slope: Float64[np.ndarray, "m choices"]

    def __len__(self) -> int:
        """How many runs."""
        return len(self.place)

    def keep(self, chosen: np.ndarray) -> Candidates:
        """Some of them, by index or by a mask."""
        return Candidates(
            self.places,
            self.place[chosen],
            {name: values[chosen] for name, values in self.settings.items()},
            self.log_settings[chosen],
            self.flops[chosen],
            self.probability[chosen],
            self.excess[chosen],
            self.slope[chosen],
        )


def candidates(target: Target, wanted: Wanted) -> Candidates:
    """All runs within the limits that are likely to finish.

    Raises:
        DataError: no run is within the budget, or all are likely to diverge.
    """
    places = places_of(target, wanted)
    cheapest = min(places, key=lambda place: place.flops)
    within = [place for place in places if place.flops <= wanted.most]
    if not within:
        limit = "budget" if wanted.most == wanted.budget else "per_run_max"
        raise DataError(
            f"Expected {limit} of at least {cheapest.flops:.1e} FLOPs, the cheapest "
            f"useful run ({format_count(cheapest.params)} parameters, "
            f"{format_count(cheapest.tokens)} tokens), got {wanted.most:.1e}. Raise it."
        )
    settings = [_settings(target.fit, place, wanted) for place in within]
    place = np.repeat(np.arange(len(within)), [len(each) for each in settings])
    found = at(target.fit, within, place, np.concatenate(settings))
    inside = np.ones(len(found), dtype=bool)
    for name, (low, high) in target.question.box.items():
        values = found.settings[name]
        inside &= ~((values < low) | (values > high))
    if not wanted.repeats:
        inside &= ~_made(target.fit, found)
    is_stable = found.probability <= target.question.p_max
    if (inside & ~is_stable).any() and not (inside & is_stable).any():
        raise DataError(
            f"Expected settings that are likely to finish, but all "
            f"{int(inside.sum())} candidates diverge with more than "
            f"{100 * target.question.p_max:g}% probability by the fitted runs. Give "
            "lower lr_levels, or raise p_max."
        )
    kept = inside & is_stable & (found.excess <= _MOST_EXCESS)
    if not kept.any():
        raise DataError(
            "Expected settings near the best of some size, but every candidate is "
            "outside the range that is searched or far above the best. Give other "
            "lr_levels or a smaller batch_multiple."
        )
    return found.keep(np.flatnonzero(kept))


def at(
    fit: Model,
    places: Sequence[Place],
    place: Int64[np.ndarray, " m"],
    log_settings: Float64[np.ndarray, "m choices"],
) -> Candidates:
    """Runs at given settings of given sizes."""
    count = len(fit.features.choices)
    shift = np.array([each.shift for each in places])[place]
    s = np.array([each.s for each in places])[place]
    lowest = np.array([each.lowest for each in places])[place]
    scale, mean = fit.features.u_scale, np.asarray(fit.features.mean[:count])
    u = (log_settings - shift - mean) / scale
    y = u[:, 1] if count == 2 else np.zeros(len(u))
    with np.errstate(all="ignore"):
        local = form(fit.family, fit.theta[None], s).at(u[:, 0], y)
    slope = np.stack([local.gx, local.gy][:count], axis=1) / scale
    settings = {name: np.full(len(place), np.nan) for name in ("lr", "batch")}
    for i, name in enumerate(fit.features.choices):
        settings[name] = np.exp(log_settings[:, i])
    only = {n: v for n, v in settings.items() if n not in fit.features.choices}
    for name in only:
        low, high = fit.features.fitted[name]
        settings[name] = np.full(len(place), math.sqrt(low * high))
    return Candidates(
        tuple(places),
        place.astype(np.int64),
        settings,
        log_settings,
        np.array([each.flops for each in places])[place],
        _probability(fit, places, place, settings),
        np.maximum(local.value - lowest, 0.0),
        slope,
    )


def _made(fit: Model, found: Candidates) -> Bool[np.ndarray, " m"]:
    """Which candidates the fit has a run of, where it keeps its runs."""
    is_made = np.zeros(len(found), dtype=bool)
    runs = fit.runs
    if runs is None:
        return is_made
    own = {"lr": runs.lr, "batch": runs.batch}
    for k, place in enumerate(found.places):
        sizes = {"params": place.params, "tokens": place.tokens, **place.scales}
        given = {"params": runs.params, "tokens": runs.tokens, **runs.scales}
        gaps = [np.abs(np.log(given[n] / value)) for n, value in sizes.items()]
        here = np.flatnonzero(np.max(gaps, axis=0) < _SAME)
        mine = np.flatnonzero(found.place == k)
        if not len(here) or not len(mine):
            continue
        off = [
            np.abs(np.log(own[n][here][:, None] / found.settings[n][mine]))
            for n in fit.features.choices
        ]
        is_made[mine] = (np.max(off, axis=0) < _SAME_SETTING).any(axis=0)
    return is_made


def _probability(
    fit: Model,
    places: Sequence[Place],
    place: np.ndarray,
    settings: Mapping[str, np.ndarray],
) -> Float64[np.ndarray, " m"]:
    """Of divergence; 0 where the runs cannot tell."""
    if fit.stability is None:
        return np.zeros(len(place))
    sizes = [{"params": p.params, "tokens": p.tokens, **p.scales} for p in places]
    where = dict(settings)
    for name in fit.stability.names:
        if name not in where:
            where[name] = np.array([size[name] for size in sizes])[place]
    return np.asarray(fit.stability.probability(where), dtype=np.float64)


def _settings(
    fit: Model, place: Place, wanted: Wanted
) -> Float64[np.ndarray, "m choices"]:
    """[ln] settings to try at one size: round ones around its best."""
    levels = []
    for i, name in enumerate(fit.features.choices):
        best = math.exp(place.best[i])
        if name == "lr":
            levels.append(np.array(lr_levels(best, wanted.lr_levels)))
        else:
            levels.append(np.array(batch_levels(best, wanted.batch_multiple)))
    grid = np.meshgrid(*levels, indexing="ij")
    return np.log(np.stack([each.ravel() for each in grid], axis=1))


def lr_levels(best: float, given: Sequence[float] = ()) -> list[float]:
    """Two-digit learning rates, half an octave apart, around the best."""
    if given:
        return sorted(set(given))
    steps = range(-_LR_STEPS, _LR_STEPS + 1)
    return sorted({float(f"{best * 2 ** (k / 2):.1e}") for k in steps})


def batch_levels(best: float, multiple: float | None = None) -> list[float]:
    """Powers of two around the best, or so many multiples [tokens]."""
    unit = multiple or 1.0
    middle = round(math.log2(max(best / unit, 1.0)))
    steps = range(middle - _BATCH_STEPS, middle + _BATCH_STEPS + 1)
    return sorted({unit * 2.0**k for k in steps if k >= 0})


def deviations(
    fit: Model,
    thetas: Float64[np.ndarray, "thetas p"],
    found: Candidates,
) -> Float64[np.ndarray, "thetas m"]:
    """Ln loss of other thetas less that of the fit, at every candidate."""
    count = len(fit.features.choices)
    shift = np.array([each.shift for each in found.places])[found.place]
    s = np.array([each.s for each in found.places])[found.place]
    mean = np.asarray(fit.features.mean[:count])
    u = (found.log_settings - shift - mean) / fit.features.u_scale
    every = np.concatenate([fit.theta[None], thetas])
    values = arrays.log_losses(fit.family, every, np.concatenate([u, s], axis=1))
    return values[1:] - values[0]
