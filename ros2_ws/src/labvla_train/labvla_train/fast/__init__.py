"""Discrete action tokens: cosine transform over time, rounding, byte pairs."""
