"""Scripted experts: they read the true state, which no policy may."""

from labvla_sim.experts.base import Expert, Plan
from labvla_sim.experts.drive import Outcome, drive
from labvla_sim.experts.registry import make_expert

__all__ = ["Expert", "Outcome", "Plan", "drive", "make_expert"]
