"""Preflight: everything that can be known to be wrong before anything moves."""

from labvla_bringup.doctor.frame import Context, Result, examine

__all__ = ["Context", "Result", "examine"]
