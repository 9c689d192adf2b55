"""Demonstrations: scripted experts at work, disturbed, judged, and written down as a dataset."""
