"""`poisson_gram` for a batch on a Hopper GPU: the counts never leave the chip.

A block of threads owns 64 replicas. It draws their counts in registers, 64 rows at a
time, and adds counts (64 x rows) times pair products (rows x q) with the tensor cores.
Counts are small integers, exact in bfloat16; the products are split into three
bfloat16 terms, which together hold a float32; sums are float32.

A counter serves four rows. Instead of interleaving them, the rows of each of the four
places of a counter are a matrix of their own, so that a place's counts multiply it as
they come.

The tensor cores truncate where float32 addition rounds: over n rows the sums may be
3 n / 16 x 2^-24 low (n = 2,000: 2e-5), which interpret mode does not show.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.experimental.pallas as pl
import jax.numpy as jnp
from jax import lax
from jax.experimental.pallas import mosaic_gpu as plgpu
from jaxtyping import Array, BFloat16, Float, Int

from surrogate_kernels import mosaic, ref
from surrogate_kernels.gram_xla import pair_products, unpack
from surrogate_kernels.poisson import counts_of, seed_words, threefry

# Replicas of a block: the rows of one tensor-core product.
REPLICAS = 64
# Counters of a step: the depth of one tensor-core product in bfloat16. More would take
# registers from other blocks, which hide the latency.
STEP = 16
PLACES = 4
TERMS = 3
_DEPTH = PLACES * TERMS * STEP
# What one tensor-core product can be wide: q = 253 for p = 21.
MAX_COLUMNS = 256


def _split(values: Float[Array, "n q"]) -> BFloat16[Array, "3 n q"]:
    """Three terms whose sum is the value, to the last bit of a float32.

    `reduce_precision`, because XLA drops a conversion to bfloat16 and back on a GPU
    (jax 0.11.2: the second and third terms became 0), though not on a CPU.
    """
    terms = []
    for _ in range(TERMS):
        term = lax.reduce_precision(values, exponent_bits=8, mantissa_bits=7)
        terms.append(term.astype(jnp.bfloat16))
        values = values - term
    return jnp.stack(terms)


def _pack(products: Float[Array, "n q"]) -> BFloat16[Array, "steps depth width"]:
    """The products in the order of use, with zeros for rows and columns of padding."""
    rows, columns = products.shape
    width = mosaic.padded_size(columns, STEP)
    steps = -(-rows // (PLACES * STEP))
    products = mosaic.pad_axis(products, 0, steps * PLACES * STEP)
    terms = _split(mosaic.pad_axis(products, 1, width))
    terms = terms.reshape(TERMS, steps, STEP, PLACES, width)
    return terms.transpose(1, 3, 0, 2, 4).reshape(steps, _DEPTH, width)


def _draw(key: tuple[Array, Array], number: Array, counter: Array) -> list[Array]:
    """Counts of the four rows of each counter, [replicas, counters] a place."""
    wide = (
        jnp.broadcast_to(key[0], counter.shape),
        jnp.broadcast_to(key[1], counter.shape),
    )
    return [
        counts_of(bits, jnp.float32).astype(jnp.bfloat16)
        for word in threefry(wide, (number, counter))
        for bits in (word & jnp.uint32(0xFFFF), word >> jnp.uint32(16))
    ]


def _body(
    interpret: Any,
    products: Any,
    numbers: Any,
    key: Any,
    out: Any,
    products_here: Any,
    counts_here: Any,
    numbers_here: Any,
    arrived: Any,
) -> None:
    """64 replicas over all rows."""
    replicas = pl.ds(lax.axis_index("tile") * REPLICAS, REPLICAS)
    steps, _, width = products.shape

    def fetch(step: Any, buffer: Any) -> None:
        plgpu.copy_gmem_to_smem(
            products.at[step], products_here.at[buffer], arrived.at[buffer]
        )

    fetch(0, 0)
    plgpu.copy_gmem_to_smem(numbers.at[replicas], numbers_here, arrived.at[2])
    plgpu.barrier_wait(arrived.at[2])
    layout = plgpu.Layout.WGMMA
    number = mosaic.with_layout(numbers_here[...], layout.reduce(1), interpret)
    number = lax.broadcast_in_dim(number, (REPLICAS, STEP), (0,))
    lane = lax.broadcasted_iota(jnp.uint32, (REPLICAS, STEP), 1)
    lane = mosaic.with_layout(lane, layout, interpret)
    words = (key[0], key[1])

    def multiply(sums: Any) -> Array:
        def one(step: Array, carry: None) -> None:
            counts = _draw(words, number, lane + (step * STEP).astype(jnp.uint32))
            buffer = lax.rem(step, 2)
            # The last step's products, which read the buffers that are filled next.
            plgpu.wgmma_wait(0)
            pl.when(step + 1 < steps)(lambda: fetch(step + 1, 1 - buffer))
            for place in range(PLACES):
                counts_here[place] = counts[place]
            plgpu.commit_smem()
            plgpu.barrier_wait(arrived.at[buffer])
            for part in range(PLACES * TERMS):
                rows = pl.ds(part * STEP, STEP)
                left = counts_here.at[part // TERMS]
                plgpu.wgmma(sums, left, products_here.at[buffer, rows])
            return carry

        lax.fori_loop(0, steps, one, None)
        return sums[...]

    out[replicas] = pl.run_scoped(
        multiply, plgpu.WGMMAAccumulatorRef((REPLICAS, width), jnp.float32)
    )


def _sums(
    products: BFloat16[Array, "steps depth width"],
    numbers: Any,
    key: Any,
    name: str,
    interpret: Any,
) -> Float[Array, "R width"]:
    """Counts times products for a multiple of 64 replicas."""
    width = products.shape[2]
    tiled = (plgpu.TilingTransform((8, STEP)), plgpu.SwizzleTransform(2 * STEP))
    call = plgpu.kernel(
        functools.partial(_body, interpret),
        out_type=jax.ShapeDtypeStruct((numbers.shape[0], width), jnp.float32),
        grid=(numbers.shape[0] // REPLICAS,),
        grid_names=("tile",),
        scratch_types=[
            plgpu.SMEM((2, _DEPTH, width), jnp.bfloat16, transforms=tiled),
            plgpu.SMEM((PLACES, REPLICAS, STEP), jnp.bfloat16, transforms=tiled),
            plgpu.SMEM((REPLICAS,), jnp.uint32),
            plgpu.Barrier(num_barriers=3),
        ],
        kernel_name=name,
        compiler_params=mosaic.compiler_params(barriers=True),
        interpret=interpret,
    )
    return call(products, numbers, key)


def poisson_gram(
    features: Float[Array, "n p"],
    target: Float[Array, " n"],
    base: Float[Array, " n"],
    seed: Any,
    replicas: Int[Array, " R"],
    *,
    interpret: Any = None,
) -> ref.NormalEquations:
    """`ref.poisson_gram` for each replica.

    Args:
        features: one row a run.
        target: what is fitted.
        base: weights that the counts multiply.
        seed: an int from 0 to 2^64 - 1, or its low and high word, uint32.
        replicas: their numbers.
        interpret: `mosaic.interpreter()` to run it on a CPU, slowly.

    Raises:
        NotImplementedError: not float32, or more than 21 features.
    """
    mosaic.check_float32("poisson_gram", features, target, base)
    products = pair_products(features, target, base)
    size = features.shape[1]
    if products.shape[1] > MAX_COLUMNS:
        raise NotImplementedError(
            f"the Mosaic kernel poisson_gram takes up to 21 features, got {size}. "
            "Use the xla backend."
        )
    count = replicas.shape[0]
    numbers = replicas.astype(jnp.uint32)
    numbers = mosaic.pad_axis(numbers, 0, mosaic.padded_size(count, REPLICAS))
    name = f"poisson_gram_{size}"
    sums = _sums(_pack(products), numbers, seed_words(seed), name, interpret)
    return unpack(sums[:count], size)
