"""Fits in NumPy: the same mathematics as the compiled programs, without a compiler.

A first fit in a process costs what its arithmetic does. What is here is held equal to
the JAX it stands for by tests, function by function.
"""
