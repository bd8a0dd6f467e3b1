"""The checked table of finished runs: natural units, cells, recipes, diverged runs.

`checks` says what a usable run is, `cells` which runs belong together, `advice` what to
warn of, and `table` joins them as `Runs`. NumPy only; the logarithms of settings are
taken in `coordinates`.
"""

from surrogate.data.cells import Cell, levels
from surrogate.data.checks import (
    SETTINGS,
    LossKind,
    ParamsKind,
    check_kinds,
    check_loss_unit,
    check_scale_names,
    in_nats,
    nats_a_unit,
    row_fault,
    unit_fault,
)
from surrogate.data.divergence import WORSE, Verdict
from surrogate.data.table import MIN_LOG_SPAN, Dropped, Runs, Source, Understood

__all__ = [
    "MIN_LOG_SPAN",
    "SETTINGS",
    "WORSE",
    "Cell",
    "Dropped",
    "LossKind",
    "ParamsKind",
    "Runs",
    "Source",
    "Understood",
    "Verdict",
    "check_kinds",
    "check_loss_unit",
    "check_scale_names",
    "in_nats",
    "levels",
    "nats_a_unit",
    "row_fault",
    "unit_fault",
]
