"""Accuracy on cells left out: methods, baselines, scores, tables."""
