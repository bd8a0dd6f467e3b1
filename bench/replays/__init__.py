"""Replays of plans on released sweeps."""
