"""The engine that runs a LabVLA checkpoint on this machine."""

from labvla_policy.engines.labvla.engine import LabvlaEngine

__all__ = ["LabvlaEngine"]
