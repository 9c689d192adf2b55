"""Checks of datasets: scan, clean, stats, validate, preflight."""
