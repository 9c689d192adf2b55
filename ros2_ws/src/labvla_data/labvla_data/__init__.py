"""Recordings of what a cell does: made without silent losses, read back, repaired."""
