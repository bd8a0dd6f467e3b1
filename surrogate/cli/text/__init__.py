"""Answers as text that a person reads."""
