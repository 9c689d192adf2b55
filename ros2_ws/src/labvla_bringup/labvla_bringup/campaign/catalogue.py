"""Every fault of a campaign: how it is caused, what has to name it, and what a person does then.

`python -m labvla_bringup.campaign.catalogue` prints the table in docs/operations.md.
"""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass

from labvla_bringup.campaign.causes import (
    Cause,
    DiskFull,
    Ordered,
    Passing,
    Said,
    Signalled,
    Spoiled,
    Stopped,
)
from labvla_bringup.campaign.recovery import Recovery

ANSWER = "answer"  # named by the refusing answer of a service, not by an event


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong."""

    name: str
    cause: Cause
    named: tuple[str, ...]  # reasons, one of which has to be told; none: `may` at most
    symptom: str
    meaning: str
    action: str
    recovery: Recovery = Recovery.NOTHING
    stands: bool = True  # whether the arm has to come to rest because of it
    prompt: bool = False  # whether that has to be within the promised standstill of 0.8 s
    grasped: bool = False  # whether it happens to an arm that holds the beaker
    accepted: str = ""  # why nothing can find it: a finding that the house lives with
    may: tuple[str, ...] = ()  # reasons that may be told where none has to be


_CAMERA = "front"


def _camera(
    name: str,
    kind: str,
    named: tuple[str, ...],
    symptom: str,
    meaning: str,
    action: str,
    **more: str,
) -> Fault:
    cause = Spoiled(_CAMERA, kind, other=more.get("other", ""))
    return Fault(
        name,
        cause,
        named,
        symptom,
        meaning,
        action,
        stands=not more.get("accepted"),
        accepted=more.get("accepted", ""),
    )


_CAMERAS = (
    _camera(
        "camera_gone", "drop", ("camera_stale",),
        "the arm stands; `camera_stale`, and the camera's rate in the status is 0",
        "no frames come from a camera", "look at cable, power and driver; start the driver again",
    ),
    _camera(
        "camera_frozen", "freeze", ("camera_frozen",),
        "the arm stands; `camera_frozen`",
        "a camera repeats the same picture under new stamps", "start its driver again",
    ),
    _camera(
        "camera_black", "black", ("image_black",),
        "the arm stands; `image_black`",
        "nothing in a picture is bright", "lens cap, light, exposure",
    ),
    _camera(
        "camera_size", "resize", ("image_size",),
        "the arm stands; `image_size`",
        "a driver changed to another profile", "set the driver's profile or the cell's size",
    ),
    _camera(
        "camera_encoding", "encode", ("image_encoding",),
        "the arm stands; `image_encoding`",
        "a driver changed to another pixel format", "set the driver's format or the cell's",
    ),
    _camera(
        "camera_cut", "cut", ("image_buffer",),
        "the arm stands; `image_buffer`",
        "pictures arrive incomplete", "look at the transport; a broken driver",
    ),
    _camera(
        "camera_late", "late", ("camera_stale", "observation_stale", "skew"),
        "the arm stands; `camera_stale`, `observation_stale` or `skew`",
        "a camera's stamps lag", "compare the clocks; declare a known latency in the cell",
    ),
    _camera(
        "cameras_rewired", "rewire", ("image_frame",),
        "the arm stands; `image_frame`",
        "the topics of two cameras are mixed up", "repair the remappings, or the cell's `frame_id`",
        other="side",
    ),
    _camera(
        "cameras_swapped", "swap", (),
        "none: the policy sees one camera in the place of another, and does badly",
        "a driver opened the wrong one of two like cameras",
        "compare the pictures with their names before work; use drivers that open by serial number",
        other="side",
        accepted="header and format are right, and what is in a picture is not looked at",
    ),
    _camera(
        "camera_noise", "corrupt", (),
        "none, unless the policy does badly",
        "rows of noise in uncompressed pictures", "look at cable and transport",
        accepted="a raw picture has no checksum, and noise is a picture",
    ),
)  # fmt: skip


def _joints(
    name: str, kind: str, named: tuple[str, ...], symptom: str, meaning: str, action: str
) -> Fault:
    return Fault(
        name, Spoiled("joint_states", kind), named, symptom, meaning, action, stands=bool(named)
    )


_JOINTS = (
    _joints(
        "joints_gone", "stall", ("joint_state_stale",),
        "the arm stands; `joint_state_stale`",
        "no joint states come", "start the robot's driver; look at the network",
    ),
    _joints(
        "joints_frozen", "repeat", ("joint_state_frozen", "first_row_jump"),
        "the arm stands; `joint_state_frozen`",
        "joint states repeat one posture under new stamps", "start the robot's driver again",
    ),
    _joints(
        "joints_nan", "nan", ("joint_not_finite",),
        "the arm stands; `joint_not_finite` with the joint",
        "a sensor or its driver is broken", "have the robot looked at",
    ),
    _joints(
        "joints_missing", "missing", ("joint_missing",),
        "the arm stands; `joint_missing` with the joint",
        "the driver's names are not the cell's", "compare the cell's `joints` with the driver's",
    ),
    _joints(
        "joints_duplicated", "duplicate", ("joint_duplicated",),
        "the arm stands; `joint_duplicated` with the joint",
        "two joint-state topics are merged wrongly", "read the robot's own topic",
    ),
    _joints(
        "joints_narrow", "narrow", ("joint_state_width",),
        "the arm stands; `joint_state_width`",
        "names and positions differ in number", "a broken driver",
    ),
    _joints(
        "joints_late", "late", ("joint_state_stale", "observation_stale", "skew"),
        "the arm stands; `joint_state_stale`",
        "the stamps of the joint states lag", "compare the clocks of robot and computer",
    ),
    _joints(
        "joints_reordered", "reorder", (),
        "none: joints are read by name", "a driver changed the order of its joints", "nothing",
    ),
)  # fmt: skip


def _engine(
    order: str,
    named: tuple[str, ...],
    meaning: str,
    action: str = "read the engine's output; look at checkpoint and contract",
    name: str = "",
) -> Fault:
    reasons = " or ".join(f"`{reason}`" for reason in named)
    symptom = f"the arm stands; {reasons}" if named else "none"
    fault = name or f"engine_{order}"
    return Fault(fault, Ordered(order), named, symptom, meaning, action, stands=bool(named))


_AGAIN = "nothing: it is started again by itself; if it comes back often, read its output"
_ENGINES = (
    _engine("raise", ("engine_error",), "the engine fails at every question"),
    _engine("nonsense", ("engine_error", "engine_answer"), "the engine's answer is no prediction"),
    _engine("hang", ("engine_hung",), "the engine never answers", _AGAIN),
    _engine("exit", ("engine_gone",), "the engine's process ends", _AGAIN),
    _engine("crash", ("engine_gone",), "the engine's process crashes", _AGAIN),
    _engine("late", ("reply_late",), "answers come when their rows are past", "a faster engine"),
    _engine("slow", (), "answers take 0.3 s longer", "nothing: later rows are used"),
    _engine("nan", ("target_not_finite",), "a row is not a number"),
    _engine("zeros", ("zero_targets",), "an error is hidden behind zeros"),
    _engine("constant", ("constant_targets",), "all rows are one posture somewhere else"),
    _engine("repeat", ("repeated_prediction",), "the same rows come again: inputs do not arrive"),
    _engine("jump", ("first_row_jump",), "plans begin far from where the arm is"),
    _engine("fast", ("velocity_limit",), "rows are much faster than the arm may move"),
    _engine("beyond", ("position_limit",), "rows lead past the end of a joint's range"),
    _engine("dive", ("keep_out", "workspace"), "rows lead into the bench"),
    _engine("narrow", ("target_names",), "rows for another number of joints"),
    _engine("misshapen", ("target_shape", "engine_answer"), "rows that do not fit their names"),
    _engine("stretched", ("row_time",), "rows at half the rate of the contract"),
    _engine("ahead", ("plan_ahead",), "plans begin seconds from now", "compare the clocks"),
    _engine("past", ("reply_late", "no_rows_left"), "plans are seconds old", "compare the clocks"),
    _engine("huge", ("target_shape", "plan_ahead", "bad_shape"), "plans of thousands of rows"),
    Fault(
        "engine_killed", Signalled("engine", signal.SIGKILL), ("engine_gone",),
        "the arm stands; `engine_gone`", "the engine's process was killed, by hand or for memory",
        _AGAIN,
    ),
    Fault(
        "engine_stopped", Signalled("engine", signal.SIGSTOP), ("engine_hung",),
        "the arm stands; `engine_hung`", "the engine's process does not run any more", _AGAIN,
    ),
)  # fmt: skip

_SILENCE = ("end_of_data", "blind_limit")
_OTHERS = (
    Fault(
        "policy_killed", Signalled("policy", signal.SIGKILL), _SILENCE,
        "the arm stands; `end_of_data` or `blind_limit`; `labvla status` counts a restart",
        "the policy's process was killed or crashed",
        "nothing: it is started again by itself; the instruction has to be given again",
        Recovery.RESTARTED, prompt=True,
    ),
    Fault(
        "policy_stopped", Signalled("policy", signal.SIGSTOP), _SILENCE,
        "the arm stands; `end_of_data` or `blind_limit`; `labvla/status` is silent",
        "the policy's process does not run any more",
        "find out why; `kill -KILL` its process (`labvla status` has the number)",
        Recovery.KILL, prompt=True,
    ),
    Fault(
        "policy_continued", Signalled("policy", signal.SIGSTOP), _SILENCE,
        "the arm stands, and goes on when the process does",
        "the policy's process was held up for seconds",
        "`kill -CONT` its process, and give the instruction again", Recovery.CONTINUE,
        prompt=True,
    ),
    Fault(
        "plant_paused", Passing("plant", "pause", 2.0), (),
        "clock and arm stand still and go on together",
        "the simulation was held up", "nothing", stands=False,
    ),
    Fault(
        "clock_forward", Passing("clock", "jump", 10.0), ("clock_jump",),
        "the arm stands for a moment; `clock_jump`",
        "a clock was set forward while everything ran",
        "nothing at once; synchronise clocks before the start", stands=False,
    ),
    Fault(
        "clock_back", Passing("clock", "jump", -10.0), ("clock_jump",),
        "the arm stands for a moment; `clock_jump`",
        "a clock was set back while everything ran",
        "nothing at once; synchronise clocks before the start", stands=False,
    ),
    Fault(
        "instruction_flood", Said(("press the start button", "pick up the beaker"), times=50), (),
        "none: the last instruction counts",
        "instructions come faster than anything can move",
        "find who sends them", stands=False,
    ),
    Fault(
        "instruction_huge", Said(("pick up the beaker " * 55_000,)), (ANSWER,),
        "the answer refuses it; the instruction before goes on",
        "a megabyte of text", "give one step at a time", stands=False,
    ),
    Fault(
        "instruction_unreadable", Said(("pick\x00up", "pick \u202eup", "\ufffe")), (ANSWER,),
        "the answer refuses it; the instruction before goes on",
        "characters that nobody can read", "give text", stands=False,
    ),
    Fault(
        "instruction_unknown", Said(("make me a coffee",)), ("engine_error",),
        "the arm stands; `engine_error` with what the engine knows",
        "an instruction that the engine cannot follow", "give another one",
    ),
    Fault(
        "instruction_empty", Said(("",)), _SILENCE,
        "the arm stands", "the instruction was taken away", "give one",
    ),
    Fault(
        "payload", Passing("arm/hand", "push", 2.0, (0.0, 0.0, -10.0, 0.0, 0.0, 0.0)), (),
        "the arm sags by centimetres and comes back",
        "a kilogram that nobody declared", "declare it as the cell's payload", stands=False,
    ),
    Fault(
        "push", Passing("arm/hand", "push", 0.3, (0.0, 25.0, 0.0, 0.0, 0.0, 0.0)), (),
        "the arm yields and comes back", "somebody leans against the arm", "nothing", stands=False,
    ),
    Fault(
        "obstacle", Passing("arm/hand", "block", 1.0), (),
        "the arm pushes gently and goes on when the way is free",
        "something is in the way of the hand",
        "`labvla stop`, clear the way, `labvla recover`", stands=False,
        # Who is kept back for long is no longer where the next plan begins.
        may=("first_row_jump",),
    ),
    Fault(
        "stop_twice", Stopped(("labvla/stop", "labvla_controller/stop", "labvla/stop")),
        ("requested",),
        "the arm stands, latched", "several people stop at once", "`labvla recover`, once",
        Recovery.RECOVER, prompt=True,
    ),
    Fault(
        "stop_at_controller", Stopped(("labvla_controller/stop",)), ("requested",),
        "the arm stands, latched; every chunk is refused as `stopped`",
        "somebody stopped the controller itself", "`labvla recover`", Recovery.RECOVER,
        prompt=True,
    ),
    Fault(
        "stop_in_grasp", Stopped(("labvla/stop",)), ("requested",),
        "the arm stands and keeps what it holds", "a stop while something is held",
        "take it out of the hand, or `labvla recover` and go on", Recovery.RECOVER, prompt=True,
        grasped=True,
    ),
    Fault(
        "disk_full", DiskFull(), ("write_failed", "disk_low"),
        "recording ends with `write_failed` or `disk_low`; the arm is not concerned",
        "there is no room for the recording", "make room; what was safe is kept", stands=False,
    ),
)  # fmt: skip

FAULTS: tuple[Fault, ...] = (*_CAMERAS, *_JOINTS, *_ENGINES, *_OTHERS)


def as_markdown() -> str:
    """Return the table for people."""
    lines = ["| fault | symptom | meaning | do |", "|---|---|---|---|"]
    for fault in FAULTS:
        why = f". *Not found: {fault.accepted}*" if fault.accepted else ""
        lines.append(
            f"| `{fault.name}` | {fault.symptom}{why} | {fault.meaning} | {fault.action} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
