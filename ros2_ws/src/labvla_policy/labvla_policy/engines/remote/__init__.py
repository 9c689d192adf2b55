"""Asks a policy server: the original LabVLA one, one of openpi's, or this stack's own."""
