"""What an argument must be that is a fit."""

from __future__ import annotations

from surrogate.answers.fit import Fit
from surrogate.base.arguments import instance

FIT = instance(Fit, "a fit (from surrogate.fit or surrogate.load)")
FIT_OR_NAME = instance((Fit, str), "a fit, or the name of one")
