"""Policies judged through the running stack."""
