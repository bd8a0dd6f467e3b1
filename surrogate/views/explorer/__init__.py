"""The explorer: one HTML file in which a fit answers without Python or a network."""

from surrogate.views.explorer.page import build, write

__all__ = ["build", "write"]
