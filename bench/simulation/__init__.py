"""Sweeps drawn from known truths, fitted and asked."""
