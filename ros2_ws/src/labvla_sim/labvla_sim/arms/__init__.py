"""Simulated arms: one resolver, which also says where the model came from."""

from labvla_sim.arms.resolver import ArmSource, ArmSpec, SourceUnavailable, arm_spec

__all__ = ["ArmSource", "ArmSpec", "SourceUnavailable", "arm_spec"]
