"""Leave cells out and see what a fit of the others says of them."""

from surrogate.answers.validated import FoldScore, Validation
from surrogate.answers.validation.validate import score, validate

__all__ = ["FoldScore", "Validation", "score", "validate"]
