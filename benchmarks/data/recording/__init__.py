"""Recorders beside a sender that counts: what they cost, and what they lose."""
