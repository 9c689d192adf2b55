"""The simulated plant: robots under torque control, apparatus, sensors and their faults."""

from labvla_sim.plant.pacing import Pace, Pacer
from labvla_sim.plant.rendering import CellRenderer
from labvla_sim.plant.servo import JointServo, RowPlayer
from labvla_sim.plant.sim_cell import Noise, RobotState, SimCell, Snapshot
from labvla_sim.plant.truth import BodyPose, Touch, Truth

__all__ = [
    "BodyPose",
    "CellRenderer",
    "JointServo",
    "Noise",
    "Pace",
    "Pacer",
    "RobotState",
    "RowPlayer",
    "SimCell",
    "Snapshot",
    "Touch",
    "Truth",
]
