"""Simulated cells."""
