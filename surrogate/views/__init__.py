"""Fits as pictures: figures and the explorer page."""
