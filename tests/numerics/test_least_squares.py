"""The batched solver: closed forms, SciPy, problems that do not touch each other."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize
from support.families import draw_points, formula

from surrogate.base.errors import DataError
from surrogate.families import Bowl, Family, Posynomial, Quadratic, Shape
from surrogate.numerics import batches, least_squares, newton, row_weights
from surrogate.numerics.least_squares import Solution
from surrogate_kernels import dispatch, mosaic
from surrogate_kernels.dispatch import BATCHED_XLA

ROUNDING = 1e-12
Member = Quadratic | Posynomial
LINEAR, BENT = Quadratic(Shape(2, 1, 1)), Posynomial(Shape(2, 1, 0), 3)
# Curved problems a call, and a little more: some go through a second one.
BLOCK = least_squares._SLOTS["cpu"] * least_squares._TURNS
ROWS, PROBLEMS = 60, BLOCK + 3
each = pytest.mark.parametrize("family", [LINEAR, BENT], ids=["linear", "bent"])


class Table(NamedTuple):
    """Rows of one known surface, and problems that weigh them differently."""

    z: np.ndarray
    target: np.ndarray
    weights: np.ndarray
    theta0: np.ndarray
    truth: np.ndarray


def draw_table(family: Member, noise: float = 0.002, seed: int = 1) -> Table:
    """Starts near the truth; weights of 1 / 0.002^2, a fifth of them zero."""
    rng = np.random.default_rng(seed)
    z = draw_points(family, rng, ROWS)
    with jax.enable_x64(True):
        # Curved in u, so that the projection has nothing to do.
        curved = [0.04, 0.02, 0, 0.05, 0, 0.02]
        truth = np.array([0.1, 0.02, 0.01, -0.1, *curved, 0.01, -0.02, 0.01, 0])
        if isinstance(family, Posynomial):
            truth = np.asarray(family.starts(np.random.default_rng(seed), 1))[0]
    target = formula(family, truth, z) + noise * rng.normal(size=ROWS)
    kept = rng.random((PROBLEMS, ROWS)) < 0.8
    theta0 = truth + 0.05 * rng.normal(size=(PROBLEMS, family.size))
    return Table(z, target, kept / 0.002**2, theta0, truth)


TABLES = {family: draw_table(family) for family in (LINEAR, BENT)}


def solve(
    family: Member, table: Table, which: slice | list[int], iterations: int = 400
) -> Solution:
    return least_squares.solve(
        family,
        table.z,
        table.target,
        row_weights.given(table.weights[which]),
        table.theta0[which],
        iterations=iterations,
    )


def residuals(
    family: Member, table: Table, problem: int, theta: np.ndarray
) -> np.ndarray:
    """Weighted rows, then the prior's, whose squares sum to the cost."""
    centre, precision = family.prior
    off = formula(family, theta, table.z) - table.target
    weighted = np.sqrt(table.weights[problem]) * off
    return np.concatenate([weighted, np.sqrt(precision) * (theta - centre)])


@pytest.fixture(scope="module")
def bent() -> Solution:
    return solve(BENT, TABLES[BENT], slice(None))


@pytest.fixture(scope="module")
def linear() -> Solution:
    return solve(LINEAR, TABLES[LINEAR], slice(None))


# ---- the answer -----------------------------------------------------------------


def test_linear_fits_equal_lstsq_with_the_prior_as_rows(linear: Solution) -> None:
    # Independent code; tolerance: rounding of normal equations of condition 1e4.
    table = TABLES[LINEAR]
    for i in range(PROBLEMS):
        zero = residuals(LINEAR, table, i, np.zeros(LINEAR.size))
        unit = np.eye(LINEAR.size)
        design = np.stack([residuals(LINEAR, table, i, e) for e in unit], 1)
        design -= zero[:, None]
        wanted, *_ = np.linalg.lstsq(design, -zero, rcond=None)
        np.testing.assert_allclose(linear.theta[i], wanted, rtol=1e-8, atol=1e-10)
        cost = np.sum((design @ wanted + zero) ** 2)
        assert linear.cost[i] == pytest.approx(cost, rel=1e-6)
    assert linear.converged.all()


def test_linear_cost_counts_what_the_projection_costs() -> None:
    # Independent code: the cost at the projected theta, from the formula.
    table = TABLES[LINEAR]
    saddle = np.where(np.arange(LINEAR.size) == 4, -0.03, table.truth)
    bowed = table._replace(target=formula(LINEAR, saddle, table.z))
    found = solve(LINEAR, bowed, [0])
    assert found.theta[0, 4] > 0
    squares = np.sum(residuals(LINEAR, bowed, 0, found.theta[0]) ** 2)
    assert squares > 100
    assert found.cost[0] == pytest.approx(squares, rel=1e-8)


def test_a_doubled_row_equals_weight_two() -> None:
    # Property; tolerance: rounding of normal equations of condition 1e4.
    table = TABLES[LINEAR]
    index = np.append(np.arange(ROWS), 20)
    doubled = least_squares.solve(
        LINEAR,
        table.z[index],
        table.target[index],
        row_weights.given(table.weights[:1, index]),
    )
    heavy = table.weights[:1] * np.where(np.arange(ROWS) == 20, 2.0, 1.0)
    assert heavy[0, 20] > 0
    twice = solve(LINEAR, table._replace(weights=heavy), [0])
    np.testing.assert_allclose(doubled.theta, twice.theta, rtol=1e-8, atol=1e-10)


def test_noiseless_data_give_their_surface_back() -> None:
    # Closed form: the truth fits exactly; the prior may pull by 1e-9 of ln loss, for
    # which its cost of about 10 is worth the weights.
    table = draw_table(BENT, noise=0.0)
    sharp = table._replace(weights=np.ones((1, ROWS)) * 1e16)
    found = solve(BENT, sharp, [0], iterations=400)
    fitted = formula(BENT, found.theta[0], table.z)
    np.testing.assert_allclose(fitted, table.target, atol=1e-8)


def test_costs_equal_scipys(bent: Solution) -> None:
    # Independent code, iterative: Trust Region Reflective from the same start.
    for i in (0, 4, 9):
        wanted = optimize.least_squares(
            partial(residuals, BENT, TABLES[BENT], i),
            TABLES[BENT].theta0[i],
            x_scale="jac",
            xtol=1e-14,
            ftol=1e-14,
            gtol=1e-14,
            max_nfev=2000,
        )
        assert bent.cost[i] == pytest.approx(2 * wanted.cost, rel=1e-6)
        at = residuals(BENT, TABLES[BENT], i, bent.theta[i])
        assert bent.cost[i] == pytest.approx(at @ at, rel=1e-9)
    assert bent.converged.all()
    # A problem also ends where a damped step, of less gain than a whole one, cannot be
    # told from rounding.
    rounding = 2 * 64 * np.finfo(float).eps
    assert bent.decrement.max() <= np.sqrt(max(least_squares.TOLERANCE, rounding))


@pytest.mark.once
def test_before_the_first_step_the_start_is_reported(bent: Solution) -> None:
    # Closed form: cost and decrement at theta0; tolerance: rounding times the condition
    # of the Hessian.
    near = bent.theta + 1e-6 * np.random.default_rng(7).normal(size=BENT.size)
    table = TABLES[BENT]._replace(theta0=near)
    found = solve(BENT, table, slice(None), iterations=0)
    np.testing.assert_allclose(found.theta, near, rtol=1e-11)
    with jax.enable_x64(True):
        v = jax.vmap(BENT.to_solver)(jnp.asarray(near))
        z, target, heavy = map(jnp.asarray, (table.z, table.target, table.weights))
        sums = BENT.normal_equations(v, z, target, heavy, BATCHED_XLA)
        cost, gradient, hessian = map(np.asarray, sums)
    np.testing.assert_allclose(found.cost, cost, rtol=1e-10)
    is_definite = np.linalg.eigvalsh(hessian)[:, 0] > 0
    assert is_definite.mean() > 0.8
    np.testing.assert_array_equal(np.isinf(found.decrement), ~is_definite)
    for i in np.flatnonzero(is_definite):
        square = gradient[i] @ np.linalg.solve(hessian[i], gradient[i])
        wanted = np.sqrt(square / cost[i])
        assert found.decrement[i] == pytest.approx(wanted, rel=1e-4)
    assert (found.status == newton.LIMIT).all()
    assert (found.iterations == 0).all()


def test_in_bulk_the_same_minima_are_reached_and_all_steps_counted(
    bent: Solution,
) -> None:
    # Iterative: both stop at 1e-14 of the cost. The way there differs, so that a
    # problem of several minima may end in another one.
    table = TABLES[BENT]
    arrays = table.z, table.target, row_weights.given(table.weights), table.theta0
    found = least_squares.solve(BENT, *arrays, iterations=400, bulk=200)
    assert found.converged.mean() > 0.95
    is_same = np.abs(found.cost / bent.cost - 1) < 10 * least_squares.TOLERANCE
    assert is_same.mean() > 0.9
    assert np.median(found.iterations) > 0.5 * np.median(bent.iterations)


def test_a_limit_of_steps_is_kept_and_told(bent: Solution) -> None:
    found = solve(BENT, TABLES[BENT], slice(None), iterations=2)
    assert (found.iterations == 2).all()
    assert not found.converged.any()
    assert (found.cost >= bent.cost).all()
    start = solve(BENT, TABLES[BENT], slice(None), iterations=0)
    assert (found.cost <= start.cost).all()
    assert (found.cost < start.cost).any()


# ---- many at once ---------------------------------------------------------------


def assert_same(one: Solution, other: Solution) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def some_of(found: Solution, which: Any) -> Solution:
    """The chosen problems' part of a solution."""
    theta, cost, decrement, status, steps = (part[which] for part in found[:5])
    return Solution(theta, cost, decrement, status, steps, *found[5:])


@each
def test_problems_do_not_depend_on_their_company(
    family: Member, request: pytest.FixtureRequest
) -> None:
    # Property, to the bit: any number at once, in any order.
    everything = request.getfixturevalue("linear" if family is LINEAR else "bent")
    table = TABLES[family]
    order = np.random.default_rng(2).permutation(PROBLEMS)
    mixed = solve(family, table, order.tolist())
    assert_same(mixed, some_of(everything, order))
    for some in ([3], [10, 0, 5]):
        alone = solve(family, table, some)
        assert_same(alone, some_of(everything, some))


def test_another_block_size_gives_ten_digits(
    bent: Solution, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Property: products of other sizes round otherwise. To a fit's last digits, since
    # the step whose gain rounding hides is taken on the word of the gradient; a problem
    # of several minima may end in another one.
    monkeypatch.setattr(least_squares, "_SLOTS", {"cpu": 4})
    other = solve(BENT, TABLES[BENT], slice(None))
    assert other.block != bent.block
    is_same = np.abs(other.cost / bent.cost - 1) < 1e-10
    assert is_same.mean() > 0.9
    off = formula_of(other.theta[is_same]) - formula_of(bent.theta[is_same])
    assert np.abs(off).max() < 1e-10


def formula_of(thetas: np.ndarray) -> np.ndarray:
    return np.stack([formula(BENT, theta, TABLES[BENT].z) for theta in thetas])


@each
def test_no_problem_is_refused(family: Member) -> None:
    with pytest.raises(DataError, match="at least one problem, got none"):
        solve(family, TABLES[family], [])


@each
def test_a_problem_that_fails_touches_no_other(
    family: Member, request: pytest.FixtureRequest
) -> None:
    everything = request.getfixturevalue("linear" if family is LINEAR else "bent")
    table = TABLES[family]
    broken, theta0 = table.weights.copy(), table.theta0.copy()
    broken[3, 7], theta0[9] = np.nan, np.nan
    found = solve(family, table._replace(weights=broken, theta0=theta0), slice(None))
    # A linear fit has no start that could be wrong.
    bad = [3] if family is LINEAR else [3, 9]
    good = np.setdiff1d(np.arange(PROBLEMS), bad)
    assert (found.status[bad] == newton.NOT_FINITE).all()
    assert_same(some_of(found, good), some_of(everything, good))


def test_progress_hears_of_every_problem_once() -> None:
    heard: list[int] = []

    class Ear:
        def start(self, task: str, total: int) -> None: ...

        def advance(self, n: int) -> None:
            heard.append(n)

        def stop(self) -> None: ...

    table = TABLES[BENT]
    arrays = table.z, table.target, row_weights.given(table.weights), table.theta0
    least_squares.solve(BENT, *arrays, iterations=1, progress=Ear())
    # As many for each core.
    assert sum(heard) == PROBLEMS
    assert len(heard) > 1
    assert max(heard) < BLOCK or batches._workers(batches.local_devices()) == 1


# ---- where it runs --------------------------------------------------------------


def test_devices_and_backends_by_name() -> None:
    assert least_squares.pick_device("auto") == jnp.zeros(1).device
    cpu = least_squares.pick_device("cpu")
    assert cpu.platform == "cpu"
    assert [least_squares.pick_backend(name, cpu) for name in ("auto", "xla")] == [
        "xla"
    ] * 2


def test_a_device_that_is_not_there_is_refused() -> None:
    message = r"--device abacus to be usable, .* finds only: .* use --device cpu\."
    with pytest.raises(DataError, match=message):
        least_squares.pick_device("abacus")


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        (
            "mosaic",
            "--backend mosaic: .*the device is a cpu, and Mosaic needs a Hopper",
        ),
        ("triton", "--backend triton: expected backend auto, numpy, xla or mosaic"),
    ],
)
def test_a_backend_that_cannot_run_is_refused(backend: str, message: str) -> None:
    cpu = least_squares.pick_device("cpu")
    with pytest.raises(DataError, match=message):
        least_squares.pick_backend(backend, cpu)


@pytest.fixture
def on_hopper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mosaic runs here, as far as anybody asks; its kernels are XLA's."""
    for reasons in ("missing_device", "missing_api"):
        monkeypatch.setattr(mosaic, reasons, lambda *_: [])
    monkeypatch.setitem(dispatch.BATCHED, "mosaic", BATCHED_XLA)


@pytest.mark.parametrize(
    ("family", "reason"),
    [
        (LINEAR, "the sums of quadratic are one matrix product, which is XLA's own"),
        (Bowl(Shape(2, 2, 0)), "no Mosaic kernel computes the sums of bowl"),
    ],
    ids=["linear", "bowl"],
)
@pytest.mark.usefixtures("on_hopper")
def test_a_family_without_a_kernel_refuses_a_named_one(
    family: Family, reason: str
) -> None:
    cpu = least_squares.pick_device("cpu")
    assert least_squares.pick_backend("mosaic", cpu, BENT) == "mosaic"
    assert least_squares.pick_backend("auto", cpu, BENT) == "mosaic"
    assert least_squares.pick_backend("auto", cpu, family) == "xla"
    with pytest.raises(DataError, match=f"--backend mosaic: .*{reason}"):
        least_squares.pick_backend("mosaic", cpu, family)


def test_all_the_reasons_against_a_backend_are_said_together() -> None:
    wanted = "one matrix product, which is XLA's own; the device is a cpu"
    with pytest.raises(DataError, match=wanted):
        least_squares.pick_backend("mosaic", least_squares.pick_device("cpu"), LINEAR)


@pytest.mark.usefixtures("on_hopper")
def test_the_backend_of_a_solution_is_the_one_that_ran() -> None:
    table = TABLES[LINEAR]
    arrays = table.z, table.target, row_weights.given(table.weights[:2])
    assert least_squares.solve(LINEAR, *arrays, backend="mosaic").backend == "xla"
    table = TABLES[BENT]
    ask = partial(
        least_squares.solve,
        BENT,
        table.z,
        table.target,
        row_weights.given(table.weights[:2]),
        table.theta0[:2],
        backend="mosaic",
    )
    # The kernels compute in float32: without steps in bulk none of them runs.
    assert [ask(bulk=n).backend for n in (None, 0, 2)] == ["xla", "xla", "mosaic"]
