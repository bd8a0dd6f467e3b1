"""Batched numerical kernels, imported as `surrogate_kernels`.

They know arrays and nothing of runs, fits or units, and never import `surrogate`.
`surrogate_kernels.ref` defines every operation in plain jnp.
"""
