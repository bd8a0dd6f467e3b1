"""Published laws of the best learning rate and batch size, as data.

Nothing here imports JAX: `surrogate.answers.laws_on_cells`, which scores laws on runs
beside the surrogate, does and is imported by whoever needs it.
"""

from surrogate.laws.evaluate import Choice, Point, Shape, evaluate
from surrogate.laws.law import Law, LogLine, Power, PowerLaw, Source
from surrogate.laws.published import LAWS, find

__all__ = [
    "LAWS",
    "Choice",
    "Law",
    "LogLine",
    "Point",
    "Power",
    "PowerLaw",
    "Shape",
    "Source",
    "evaluate",
    "find",
]
