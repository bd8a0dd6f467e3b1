"""Rows on models that are not linear in theta, and on the answers read off them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import peers
from harness.timing import Contender, Timed, blas_threads, in_best_threads, race
from peers import gaussian_peak, posynomial_lm

from speed import counts, judge, ours
from speed.counts import Counts
from speed.linear_rows import HERE, at_sizes, broken, child, growth_row
from speed.problems import AT, TERMS, Peaks, Posynomial, peaks
from speed.rows import Peer, Setting, row

# Replicas that SciPy solves in a round.
SCIPY_REPLICAS = 12
GOOD_SHARE = 0.99


def _problem(setting: Setting, count: np.ndarray) -> posynomial_lm.Problem:
    """A replica as SciPy sees it."""
    rows, family = setting.sweep.rows, setting.sweep.posynomial()
    weights = setting.full.weights * count[rows.cell]
    return posynomial_lm.Problem(rows.z, rows.target, weights, *family.prior)


class _ScipyLoop:
    """Fresh replicas each round, and the seconds of every fit."""

    def __init__(self, setting: Setting, replicas: int) -> None:
        self.setting, self.replicas, self.next = setting, replicas, 0
        # Two rounds go to finding the best number of threads.
        total = replicas * (setting.rounds + 2)
        self.counts = ours.cell_counts(total, setting.sweep.cells)
        self.seconds: list[float] = []

    def run(self) -> None:
        for _ in range(self.replicas):
            problem = _problem(self.setting, self.counts[self.next])
            start = time.perf_counter()
            posynomial_lm.solve(problem, self.setting.full.theta)
            self.seconds.append(time.perf_counter() - start)
            self.next += 1


def posynomial(setting: Setting) -> dict[str, Any]:
    """Warm-started bootstrap replicas of the posynomial."""
    replicas, family = setting.size(10_000, 64), setting.sweep.posynomial()
    last: list[ours.Replicas] = []

    def run(count: int) -> None:
        last[:] = [ours.draws(setting.sweep, family, setting.full, count)]

    few = setting.size(SCIPY_REPLICAS, 3)
    loop = _ScipyLoop(setting, few)
    mine, scipy = race(
        [
            Contender("ours", partial(run, replicas), replicas),
            Contender("scipy", in_best_threads(loop.run), few),
        ],
        setting.rounds,
    )
    found = last[0]
    typical = statistics.median(loop.seconds[-few * setting.rounds :])
    with blas_threads(1):
        verdict = _judge(setting, found, setting.size(100, 6))
    rows, p = len(setting.sweep.rows.target), family.size
    steps = float(found.steps.mean())
    return row(
        setting,
        "posynomial",
        f"posynomial K = {TERMS}, {rows:,} rows, {p} parameters, {replicas:,} "
        f"replicas from {ours.WARM_STARTS} warm starts, {steps:.0f} steps each",
        mine=mine,
        peers=[
            Peer(
                "scipy least_squares lm",
                scipy,
                40.0,
                f"analytic Jacobian, tolerances 1e-10; {few} further replicas a round",
            ),
            Peer(
                "the same, by its median fit",
                Timed("", 1, (typical,) * setting.rounds),
                None,
                "a few replicas run to SciPy's limit; half take less than this",
            ),
        ],
        counts=_counted(setting, family, steps),
        sizes=at_sizes(run, setting, replicas),
        holds=verdict["share_good"] >= GOOD_SHARE,
        quality=verdict,
        source=setting.sweep.source,
    )


def bowl(setting: Setting) -> dict[str, Any]:
    """Bootstrap draws of the bowl, as `fit` makes them."""
    sweep, family = setting.sweep, setting.sweep.bowl
    replicas, full = setting.size(2000, 64), ours.full_fit(sweep, family)
    steps = {}

    def run(count: int) -> None:
        found = ours.draws(sweep, family, full, count)
        steps["mean"] = float(found.steps.mean())

    [mine] = race([Contender("ours", partial(run, replicas), replicas)], setting.rounds)
    return row(
        setting,
        "bowl",
        f"bowl, {len(sweep.rows.target):,} rows, {family.size} parameters, "
        f"{replicas:,} draws, {steps['mean']:.0f} steps each",
        mine=mine,
        sizes=at_sizes(run, setting, replicas),
        source=sweep.source,
    )


def _judge(setting: Setting, found: ours.Replicas, count: int) -> dict[str, Any]:
    """The first replicas beside SciPy's answers."""
    sweep = setting.sweep
    s = sweep.given(np.array([AT["params"]]), np.array([AT["tokens"]]))[0]
    drawn = ours.cell_counts(count, sweep.cells)
    verdicts = [
        judge.replica(
            _problem(setting, drawn[i]),
            setting.full.theta,
            found.theta[i],
            s,
            sweep.features.u_scale,
        )
        for i in range(count)
    ]
    return judge.summary(verdicts) | {"at": AT, "asked_share": GOOD_SHARE}


def growth_posynomial(setting: Setting) -> dict[str, Any]:
    """Time a replica of the posynomial, by number of replicas."""
    family = setting.sweep.posynomial()
    sizes = [setting.size(1000, 16), setting.size(10_000, 64)]
    steps = {}

    def run(count: int) -> None:
        found = ours.draws(setting.sweep, family, setting.full, count)
        steps["mean"] = float(found.steps.mean())

    def counted() -> Counts:
        return _counted(setting, family, steps["mean"])

    entrants = [Contender(str(size), partial(run, size), size) for size in sizes]
    what = f"posynomial K = {TERMS}, time a replica by replicas"
    return growth_row(setting, "growth-posynomial", what, entrants, sizes, counted)


def _counted(setting: Setting, family: Posynomial, steps: float) -> Counts:
    rows, terms = len(setting.sweep.rows.target), family.pattern.terms
    return counts.posynomial(rows, family.size, terms, steps, "float32")


def cold(setting: Setting) -> dict[str, Any]:
    """One fit from 32 random starts, every row alike, beside gpfit."""
    rows, rms = setting.sweep.rows, {}

    def run() -> None:
        theta = ours.cold(setting.sweep)
        off = posynomial_lm.log_losses(theta, rows.z) - rows.target
        rms["ours"] = float(np.sqrt(np.mean(off**2)))

    entrants = [Contender("ours", run, 1)]
    names = ("natural logarithms, as its documentation", "standardised, as ours")
    fits = {
        name: _gpfit(setting, name, z, rms)
        for name, z in zip(names, (_logarithms(setting), rows.z), strict=True)
    }
    # Tried first: it imports gpkit, which builds itself on its first import.
    lacking = peers.missing("gpfit") or broken(fits[names[1]])
    if lacking is None:
        entrants += [Contender(name, fit, 1) for name, fit in fits.items()]
    timed = {t.name: t for t in race(entrants, setting.rounds)}
    # At most: what has converged takes fewer.
    last = ours.COLD_LAST + ours.COLD_POLISH
    steps = ours.COLD_STARTS * ours.COLD_FIRST + ours.COLD_KEPT * last
    return row(
        setting,
        "cold-posynomial",
        f"one cold fit, {len(rows.target):,} rows alike, {ours.COLD_STARTS} starts, "
        f"K = {ours.COLD_TERMS}, {setting.sweep.posynomial(ours.COLD_TERMS).size} "
        f"parameters: rms {rms['ours']:.6f} of ln loss",
        mine=timed["ours"],
        peers=[
            Peer(
                f"gpfit softmax-affine K = 6, {name}",
                timed.get(name),
                30.0,
                lacking or f"31 parameters, rms {rms[name]:.6f}",
                rms["ours"] <= rms.get(name, np.inf),
            )
            for name in names
        ],
        counts=_counted(setting, setting.sweep.posynomial(ours.COLD_TERMS), steps),
        rms=rms,
        source=setting.sweep.source,
    )


def _logarithms(setting: Setting) -> np.ndarray:
    """Of lr, batch, params and tokens of the rows [n, 4]."""
    runs = setting.sweep.runs
    settings = (runs.lr_level, runs.batch, runs.params, runs.tokens)
    return np.log(np.stack(settings, axis=1))[runs.usable]


def _gpfit(
    setting: Setting, name: str, z: np.ndarray, rms: dict[str, float]
) -> Callable[[], float]:
    """A fit in a process; its own seconds count, not its start."""
    path = setting.folder / f"gpfit-{name.split()[0]}.npz"
    np.savez(path, z=z, target=setting.sweep.rows.target)
    command = [str(HERE / "peers/gpfit_once.py"), str(path)]

    def run() -> float:
        found = child(command)
        rms[name] = found["rms"]
        return found["seconds"]

    return run


def gpufit(setting: Setting) -> dict[str, Any]:
    """Gpufit's own benchmark: 5 x 5 pixels, a 2-D Gaussian of 5 parameters."""
    fits = setting.size(1_000_000, 16_384)
    few, loops = setting.size(65_536, 8192), setting.size(1000, 100)
    problem, answers, steps = peaks(fits), {}, {"ours": 0.0}
    part = problem.data[:few], problem.starts[:few], problem.xy

    def run(count: int) -> None:
        answers["ours"], taken = ours.gaussian_peaks(problem, count)
        steps["ours"] = float(taken.mean())

    def run_optimistix() -> None:
        answers["optimistix"] = gaussian_peak.optimistix_lm(*part)[0]

    def run_scipy(is_analytic: bool) -> None:
        some = problem.data[:loops], problem.starts[:loops], problem.xy
        gaussian_peak.scipy_lm(*some, is_analytic=is_analytic)

    lacking = peers.missing("optimistix") or broken(run_optimistix)
    entrants = [
        Contender("ours", partial(run, fits), fits),
        Contender("scipy", in_best_threads(partial(run_scipy, True)), loops),
        Contender("differences", in_best_threads(partial(run_scipy, False)), loops),
    ]
    if lacking is None:
        entrants.append(Contender("optimistix", run_optimistix, few))
    timed = {t.name: t for t in race(entrants, setting.rounds)}
    quality = _peak_quality(problem, answers, loops)
    published = ", ".join(f"{k} {v:,.0f}" for k, v in gaussian_peak.PUBLISHED.items())
    return row(
        setting,
        "gpufit",
        f"Gpufit's problem, 25 pixels, 5 parameters, {fits:,} fits, float32 "
        f"(published, other machines: {published} fits/s)",
        mine=timed["ours"],
        peers=[
            Peer("optimistix under vmap", timed.get("optimistix"), 10.0, lacking or ""),
            Peer("scipy least_squares lm", timed["scipy"], 400.0, "float64"),
            Peer("the same, Jacobian by differences", timed["differences"]),
        ],
        counts=counts.peak(25, steps["ours"]),
        sizes=at_sizes(run, setting, fits),
        holds=quality["ours"] >= GOOD_SHARE,
        quality=quality,
        published=gaussian_peak.PUBLISHED,
    )


def _peak_quality(
    problem: Peaks, answers: dict[str, np.ndarray], count: int
) -> dict[str, float]:
    """Share of fits whose cost is at most 1e-3 above that of SciPy run to the end."""
    rows = slice(count)
    _, cost = gaussian_peak.scipy_lm(
        problem.data[rows], problem.starts[rows], problem.xy, tolerance=1e-12
    )
    return {
        name: float((_peak_costs(problem, theta[rows]) <= cost * (1 + 1e-3)).mean())
        for name, theta in answers.items()
    }


def _peak_costs(problem: Peaks, thetas: np.ndarray) -> np.ndarray:
    return np.array(
        [
            np.sum((gaussian_peak.value(theta, problem.xy) - pixels) ** 2)
            for theta, pixels in zip(
                thetas.astype(np.float64), problem.data, strict=False
            )
        ]
    )
