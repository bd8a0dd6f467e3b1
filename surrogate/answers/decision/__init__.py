"""What a person decides by: a box of settings, one to type, its price, a word of trust.

Geometry, rounding and rules alone: what a fit says of a question is `decide`.
"""
