"""What must hold at every tick, watched from the simulator's side; no ROS in here."""

from labvla_sim.plant.invariants.aftermath import Aftermath
from labvla_sim.plant.invariants.checks import INVARIANTS
from labvla_sim.plant.invariants.monitor import InvariantMonitor
from labvla_sim.plant.invariants.series import Invariant

__all__ = ["INVARIANTS", "Aftermath", "Invariant", "InvariantMonitor"]
