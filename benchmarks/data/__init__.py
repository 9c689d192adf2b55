"""Recordings: what it costs to make them."""
