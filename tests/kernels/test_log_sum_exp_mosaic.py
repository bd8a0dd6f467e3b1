"""The Mosaic kernel of the log-sum-exp: interpreted on a CPU, lowered for a GPU."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surrogate_kernels import log_sum_exp_mosaic, mosaic, ref, specs
from surrogate_kernels.log_sum_exp_layout import layout
from surrogate_kernels.pattern import Pattern

EPS = np.finfo(np.float32).eps
OPERATION = log_sum_exp_mosaic.NAME
Arguments = tuple[Any, ...]


def posynomial(penalties: int, problems: int, rows: int, linear: int = 0) -> specs.Spec:
    pattern = specs.posynomial_pattern(penalties)
    size = len(pattern.term) + linear
    return specs.Spec(OPERATION, problems, size, rows, pattern, linear)


# One slice and two; rows below one chunk of 16, and beyond it by an odd and an even
# number; one block of 128 problems and two, the last not full.
CASES = {
    "few": specs.TINY["log_sum_exp_few"],
    "few_linear": specs.TINY["log_sum_exp_linear"],
    "p20": posynomial(3, 128, 9),
    "p20_two_chunks": posynomial(3, 130, 20),
    "p22_two_slices": posynomial(3, 5, 35, 2),
}


def as_array(argument: Any) -> Any:
    return argument if isinstance(argument, Pattern) else jnp.asarray(argument)


@functools.cache
def compiled(pattern: Pattern) -> Any:
    """The kernel, run where it can be and interpreted elsewhere; equal shapes once."""
    is_hopper = not mosaic.missing_device(jax.devices()[0])
    interpret = None if is_hopper else mosaic.interpreter()

    def call(coefficients: Any, offsets: Any, *rest: Any) -> ref.NormalEquations:
        arguments = (coefficients, offsets, pattern, *rest)
        return log_sum_exp_mosaic.log_sum_exp_normal_equations(
            *arguments, interpret=interpret
        )

    return jax.jit(call)


def found(arguments: Arguments) -> ref.NormalEquations:
    """The kernel's result; a test that asks for it skips where it cannot be had."""
    arrays = [as_array(a) for k, a in enumerate(arguments) if k != 2]
    try:
        call = compiled(arguments[2])
    except NotImplementedError as error:
        pytest.skip(str(error))
    return jax.tree.map(np.asarray, call(*arrays))


def wanted(arguments: Arguments) -> ref.NormalEquations:
    """The definition, in float64."""
    axes = (0, 0, None, None, None, None, 0)
    with jax.enable_x64(True):
        wide: list[Any] = [
            a if k == 2 else jnp.asarray(a, jnp.float64)
            for k, a in enumerate(arguments)
        ]
        call = jax.vmap(ref.log_sum_exp_normal_equations, in_axes=axes)
        return jax.tree.map(np.asarray, call(*wide))


def sizes(arguments: Arguments) -> ref.NormalEquations:
    """Sums of the addends' sizes, with what an exponent's rounding does to them.

    An exponent that is off by eps times the size of its addends changes residual and
    shares by as much.
    """
    pattern = arguments[2]
    _, share = jax.vmap(ref.log_sum_exp, in_axes=(0, None, None))(
        as_array(arguments[0]), pattern, as_array(arguments[3])
    )
    arrays = [abs(a.astype(float)) for a in (*arguments[:2], *arguments[3:])]
    coefficients, offsets, rows, linear, target, weights = arrays
    reach = np.zeros((*weights.shape, pattern.terms))
    for i, (t, c) in enumerate(zip(pattern.term, pattern.coordinate, strict=True)):
        reach[:, :, t] += coefficients[:, i, None] * rows[:, c]
    reach = 1 + reach.max(axis=2)
    residual = reach + np.log(pattern.terms) + target + offsets @ linear.T
    bent = np.asarray(share)[:, :, pattern.term] * rows[:, pattern.coordinate]
    wide = np.broadcast_to(linear, (*weights.shape, linear.shape[1]))
    jacobian = np.concatenate([bent * reach[:, :, None], wide], axis=2)
    pull = weights * residual
    hessian = np.einsum("rn,rni,rnj->rij", weights + pull, jacobian, jacobian)
    free, terms = len(pattern.term), np.array(pattern.term)
    own = np.einsum("rni,nj->rij", pull[:, :, None] * bent, rows[:, pattern.coordinate])
    hessian[:, :free, :free] += np.where(terms[:, None] == terms, own, 0)
    gradient = np.einsum("rn,rni->ri", pull, jacobian)
    return ref.NormalEquations((pull * residual).sum(axis=1), gradient, hessian)


def check(arguments: Arguments) -> None:
    # Kernel against reference: the roundings of one addend, and sqrt(rows) ulps.
    slack = (2 + np.sqrt(len(arguments[3]))) * EPS
    triples = (f(arguments) for f in (found, wanted, sizes))
    for got, want, size in zip(*triples, strict=True):
        assert got.dtype == np.float32
        assert got.shape == want.shape
        assert (abs(got - want) <= slack * size).all()


@pytest.mark.parametrize("name", CASES)
def test_equals_the_reference(name: str) -> None:
    check(CASES[name].draw(1))


def test_exponents_beyond_the_range_of_exp() -> None:
    # e^150 is no float32, and e^-150 is zero.
    coefficients, *rest = CASES["few"].draw(2)
    constants = np.array(rest[1].coordinate) == 0
    coefficients[0, constants] += 150
    coefficients[1, constants] -= 150
    check((coefficients, *rest))


def test_what_is_not_finite_stays_in_its_problem() -> None:
    # Exact: nothing else may change.
    arguments = CASES["few_linear"]._replace(problems=6).draw(3)
    coefficients, offsets, weights = arguments[0], arguments[1], arguments[-1]
    good = found(arguments)
    coefficients[1, 2] = np.nan
    coefficients[2, 0] = np.inf
    offsets[3, 1] = np.nan
    weights[4, 20] = np.nan
    bad = found(arguments)
    for before, after in zip(good, bad, strict=True):
        np.testing.assert_array_equal(after[[0, 5]], before[[0, 5]])
    assert np.isnan(bad.cost[1:5]).all()
    assert np.isnan(bad.gradient[1:5]).any(axis=1).all()
    assert np.isnan(bad.hessian[[1, 2, 4]]).any(axis=(1, 2)).all()


def test_a_row_of_weight_zero_is_left_out() -> None:
    # Exact: what such a row holds, short of its square overflowing, is added as 0.
    arguments = CASES["few_linear"]._replace(problems=6).draw(4)
    rows, linear, target, weights = arguments[3:]
    weights[:, 5] = 0
    weights[2] = 0
    plain = found(arguments)
    rows[5, 1:], linear[5], target[5] = 1e15, -1e15, 1e15
    extreme = found(arguments)
    for before, after in zip(plain, extreme, strict=True):
        np.testing.assert_array_equal(after, before)
        assert (before[2] == 0).all()
        assert (before[3] != 0).any()


def test_a_problem_s_sums_do_not_depend_on_the_others() -> None:
    # Exact: problem 129 is the second of the second block.
    arguments = CASES["few"]._replace(problems=130).draw(5)
    chosen = [129, 3, 129]
    few = [a[chosen] if k in (0, 1, 6) else a for k, a in enumerate(arguments)]
    for many, alone in zip(found(arguments), found(tuple(few)), strict=True):
        np.testing.assert_array_equal(many[chosen], alone)


@pytest.mark.parametrize(
    ("penalties", "linear", "sums"),
    [(3, 0, [195]), (3, 2, [120, 120]), (4, 0, [141, 142])],
)
def test_a_thread_holds_every_sum_once(
    penalties: int, linear: int, sums: list[int]
) -> None:
    # Closed form: distinct pairs of terms and of columns, counted by hand.
    pattern = specs.posynomial_pattern(penalties)
    at = layout(pattern, linear, log_sum_exp_mosaic.HELD)
    assert [len(part) for part in at.slices] == sums
    size = len(pattern.term) + linear
    assert max(sums) + size <= log_sum_exp_mosaic.HELD
    used = {0, *at.gradient.tolist(), *at.hessian.ravel().tolist()}
    assert used == set(range(sum(sums)))
    np.testing.assert_array_equal(at.hessian, at.hessian.T)


def test_refuses_float64() -> None:
    match = f"the Mosaic kernel {OPERATION} takes float32, got float64. Convert"
    run = functools.partial(
        log_sum_exp_mosaic.log_sum_exp_normal_equations, interpret=None
    )
    with jax.enable_x64(True), pytest.raises(NotImplementedError, match=match):
        run(*map(as_array, CASES["few"].draw(0, np.float64)))


def test_refuses_what_it_cannot_hold_with_all_reasons() -> None:
    # Two coordinates and 61 linear columns: 63 columns, and 63 x 64 / 2 products.
    arguments = CASES["few"]._replace(size=66, linear=61).draw()
    match = (
        "holds up to 65 parameters, got 66; up to 255 products of columns, got 2079. "
        "Use the xla backend"
    )
    with pytest.raises(NotImplementedError, match=match):
        log_sum_exp_mosaic.log_sum_exp_normal_equations(*map(as_array, arguments))


@pytest.mark.parametrize(
    "spec",
    [
        specs.LARGE["posynomial"],
        posynomial(4, specs.REAL, 1730),
        posynomial(3, specs.REAL, 1729, 2),
    ],
    ids=["p20", "p25", "p22"],
)
def test_lowers_for_a_gpu_at_its_real_size(spec: specs.Spec) -> None:
    kernel = jax.jit(log_sum_exp_mosaic.log_sum_exp_normal_equations, static_argnums=2)
    lowered = kernel.trace(*spec.shapes()).lower(lowering_platforms=("cuda",))
    assert lowered.as_text().count(f"{OPERATION}_{spec.size}_mosaic_gpu") == 1
