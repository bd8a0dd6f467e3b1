"""Batched least squares, minima and plateaus of convex surfaces."""
