"""The backends by name, apart from what they run, so that listing them is cheap."""

from __future__ import annotations

from typing import Literal, get_args

# What runs; `auto` is a choice between them.
Backend = Literal["numpy", "xla", "mosaic"]
NAMES: tuple[str, ...] = ("auto", *get_args(Backend))
