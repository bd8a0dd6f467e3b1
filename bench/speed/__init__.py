"""Rows of throughput and of cold starts, and what they are made of."""
