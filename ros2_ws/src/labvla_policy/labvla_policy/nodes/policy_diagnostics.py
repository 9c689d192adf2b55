"""Every part of the policy node, for `/diagnostics`."""

from __future__ import annotations

from collections.abc import Sequence

from labvla_policy.nodes.chunk_outlet import ChunkOutlet
from labvla_policy.nodes.controller_link import ControllerLink
from labvla_policy.nodes.events import Events
from labvla_policy.nodes.inputs import Inputs
from labvla_policy.nodes.loop import PolicyLoop
from labvla_policy.runtime import diagnosis
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.cycle import Cycle
from labvla_policy.runtime.diagnosis import PERIOD, Finding, Stream, StreamWatch
from labvla_policy.runtime.observation.assembler import AssemblySettings
from labvla_policy.runtime.scheduling.scheduler import Scheduler

_SENSES = ("observation", "clock")
_JUDGES = ("gate", "arbiter", "move_to")


class PolicyDiagnostics:
    """Looks at every part of the policy node."""

    def __init__(
        self,
        cell: Cell,
        inputs: Inputs,
        loop: PolicyLoop,
        cycle: Cycle,
        scheduler: Scheduler,
        controller: ControllerLink,
        outlet: ChunkOutlet,
        events: Events,
    ) -> None:
        self._inputs = inputs
        self._loop, self._cycle, self._controller = loop, cycle, controller
        self._outlet, self._events = outlet, events
        self._streams = _streams(cell, inputs)
        self._scheduling = diagnosis.SchedulingWatch(scheduler)
        self._transport = diagnosis.TransportWatch()

    def find(self, t: int) -> Sequence[Finding]:
        """Judge the last period."""
        log, loop = self._events.log, self._loop
        events = log.since(t - PERIOD)
        engine = {
            "policy": loop.policy,
            "latency p50 [s]": f"{loop.latency.quantile(0.5):.3f}",
            "latency p99 [s]": f"{loop.latency.quantile(0.99):.3f}",
            "chunks sent": self._outlet.sent,
        }
        gate = {
            "predictions refused": self._cycle.predictions_refused,
            **log.counts(_JUDGES),
        }
        return [
            *(watch.find(t, events) for watch in self._streams),
            self._transport.find(self._inputs.corrupt),
            diagnosis.engine(loop.ready.is_set(), loop.fault, engine, events),
            self._scheduling.find(),
            diagnosis.refusals("observation", _SENSES, log.counts(_SENSES), events),
            diagnosis.refusals("gate", _JUDGES, gate, events),
            diagnosis.controller(
                self._controller.references.newest(t), self._controller.counters()
            ),
        ]


def _streams(cell: Cell, inputs: Inputs) -> list[StreamWatch]:
    settings = AssemblySettings()
    joints = cell.joint_states
    cameras = [
        StreamWatch(
            Stream(
                f"camera {camera.name}",
                lambda event, name=camera.name: event.subject == name,  # type: ignore[misc]
                "camera",
                camera.rate,
                settings.max_age,
            ),
            inputs.cameras[camera.name],
        )
        for camera in cell.policy_cameras
    ]
    arms = StreamWatch(
        Stream(
            "joint states",
            lambda event: event.reason.startswith("joint_"),
            "joint_state",
            joints.rate,
            settings.max_age,
        ),
        inputs.states[joints.topic],
    )
    names: dict[str, list[str]] = {}
    for arm in cell.arms:
        names.setdefault(arm.gripper.state_topic, []).append(arm.gripper_name)
    grippers = [
        StreamWatch(
            Stream(
                f"gripper states {', '.join(names[topic])}",
                lambda event, own=names[topic]: event.subject in own,  # type: ignore[misc]
                "gripper_state",
                None,  # cells declare no rate for them
                settings.max_gripper_age,
            ),
            inputs.states[topic],
        )
        for topic in names
        if topic != joints.topic
    ]
    return [*cameras, arms, *grippers]
