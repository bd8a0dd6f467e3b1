"""Fits in NumPy: the same mathematics as the compiled programs, without a compiler.

A first fit in a process costs what its arithmetic does. What is here is held equal to
the JAX it stands for by tests, function by function.
"""

from surrogate.plain.minimum import lowest
from surrogate.plain.surface import log_losses

__all__ = ["log_losses", "lowest"]
