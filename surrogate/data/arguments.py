"""What an argument must be that is a table of runs."""

from __future__ import annotations

from surrogate.base.arguments import instance
from surrogate.data.table import Runs

RUNS = instance(Runs, "a table of runs (from read_runs or Runs.from_arrays)")
