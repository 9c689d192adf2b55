"""Whole episodes without ROS: sensors, runtime, engine, controller and plant in simulated time.

What runs between a picture and a torque is the code of the running stack. Only its threads,
processes and topics are replaced by the simulated clock, so an episode is the same on any machine,
however slow or busy, and the engine takes as long as it is told to.
"""

from labvla_sim.closed_loop.latency import Constant, Latency, Lognormal, Measured
from labvla_sim.closed_loop.recording import Handover, MotionRecorder
from labvla_sim.closed_loop.runner import EpisodeResult, EpisodeRunner, RunnerSettings, truth_of

__all__ = [
    "Constant",
    "EpisodeResult",
    "EpisodeRunner",
    "Handover",
    "Latency",
    "Lognormal",
    "Measured",
    "MotionRecorder",
    "RunnerSettings",
    "truth_of",
]
