"""What can be named, and what holds where nothing is said: for Python and commands.

Imports neither NumPy nor JAX, since `surrogate --help` lists all of it.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

# The form of every answer's JSON document; a fit's manifest counts its own.
SCHEMA = 1

LossKind: TypeAlias = Literal["train", "train_smoothed", "validation", "unknown"]
ParamsKind: TypeAlias = Literal["non_embedding", "total", "unknown"]
LOSS_KINDS: tuple[LossKind, ...] = get_args(LossKind)
PARAMS_KINDS: tuple[ParamsKind, ...] = get_args(ParamsKind)

# Units that a table may have its loss in; what is fitted is nats, or bits per byte.
LOSS_UNITS = ("nats", "bits_per_byte", "bits_per_token", "perplexity")

# The reason of rows that a user says never count.
SAID_FAILED = "failed run, as --failed says"
A_COPY = "the same row as an earlier one, in every column: it counts once"
# What becomes of rows that are checkpoints of one run.
CHECKPOINTS = ("last", "refuse", "runs")

# What is fitted alone, from the simplest on.
SINGLE_FAMILIES = ("quadratic", "additive", "posynomial", "bowl")
# What is made of several of these.
AUTO, MIX = "auto", "mix"
FAMILIES = (AUTO, MIX, *SINGLE_FAMILIES)
DEVICES = ("auto", "cpu", "gpu")

# Relative tolerance of the plateau.
TOL = 0.0025
# Share of the draws in which a robust setting is inside the plateau.
PROBABILITY = 0.9
# What the probability of divergence may reach.
P_MAX = 0.05
# Draws of resampled cells, and the fewest cells of which there are any.
BOOTSTRAP = 1000
MIN_CELLS_FOR_INTERVALS = 5
# K of the posynomial: terms beside the scaling law.
TERMS = 3
SEED = 0
# Share of the rows that may be dropped.
MAX_DROPPED = 0.1
# A tolerance or a noise above this is read with its sign only: 0.5 may mean 0.5%.
MOST_BARE = 0.05

# What a question is refused for unless it is allowed: sizes far below the fitted ones.
SMALL = "small"
ALLOWED = (SMALL,)
# What validation leaves out: ends of the table, each cell in turn, each recipe in turn.
FOLDS = ("regions", "cells", "recipes")
# Draws of every fold's fit: enough for the bound of a regret.
VALIDATION_DRAWS = 100
# Scale variables that hold active parameters, by which FLOPs go.
ACTIVE = ("active", "active_params", "Na")
