"""Certified answers, crashes, fuzz: what docs/numerics.md and reliability.md hold."""
