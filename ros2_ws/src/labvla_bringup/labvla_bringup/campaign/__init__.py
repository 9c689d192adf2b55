"""Faults into a running cell, and what was promised about it."""
