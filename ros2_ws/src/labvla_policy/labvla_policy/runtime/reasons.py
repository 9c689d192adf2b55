"""Every reason for which the runtime refuses something: its name is part of the interface.

`python -m labvla_policy.runtime.reasons` prints the table in docs/runtime.md.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """What a refusal means to the person who reads it."""

    source: str  # as in SafetyEvent
    meaning: str
    remedy: str


def _group(source: str, reasons: dict[str, tuple[str, str]]) -> dict[str, Reason]:
    return {name: Reason(source, *texts) for name, texts in reasons.items()}


REASONS: dict[str, Reason] = {
    **_group(
        "observation",
        {
            "message_corrupt": (
                "a serialised message is cut short or of another type",
                "check the topic's type and the transport",
            ),
            "controller_state": (
                "a state of the controller lacks joints or numbers, or has a mode that is none",
                "run controller and policy with the same cell, and of the same version",
            ),
            "stamp_order": (
                "a message is not newer than the one before it",
                "two publishers on one topic, or a driver that repeats stamps",
            ),
            "image_encoding": (
                "a picture has another format than the cell declares, or one without colours",
                "set the driver's format or the cell's `encoding`",
            ),
            "image_size": (
                "a picture has another size than the cell declares",
                "set the driver's profile or the cell's `width` and `height`",
            ),
            "image_frame": (
                "a picture says that it comes from another camera",
                "two cameras' topics are mixed up; or correct the cell's `frame_id`",
            ),
            "image_buffer": (
                "a picture has fewer bytes than its own size needs",
                "a broken driver or transport",
            ),
            "image_corrupt": (
                "a JPEG without its end, without a header, or that cannot be decoded",
                "check the transport; a few are survived, since older frames are used instead",
            ),
            "image_decoder": (
                "OpenCV is missing for JPEG, or cv_bridge for a rarer pixel format",
                "install it, or set the driver to rgb8",
            ),
            "image_black": (
                "nothing in the picture is brighter than 10 of 255",
                "lens cap, light, exposure",
            ),
            "camera_missing": (
                "no frame has arrived that is older than now",
                "start the driver; compare its topic and clock with the cell and this machine",
            ),
            "camera_stale": (
                "the newest frame is too old",
                "check driver, network load and clocks",
            ),
            "camera_frozen": (
                "the same picture for long while the arm moved",
                "restart the camera",
            ),
            "joint_state_missing": (
                "no joint state has arrived",
                "start the driver; compare its topic with the cell",
            ),
            "joint_state_stale": (
                "the newest joint state is too old",
                "check driver, network load and clocks",
            ),
            "joint_state_frozen": (
                "exactly the same joints for long while the arm was told to move",
                "restart the driver; or the arm is held: look at the robot",
            ),
            "joint_state_width": (
                "names and positions of a joint state differ in number",
                "a broken driver",
            ),
            "joint_missing": (
                "a joint of the cell is not in the joint states",
                "compare the cell's `joints` with the driver's names",
            ),
            "joint_duplicated": (
                "a joint appears twice in one joint state",
                "a broken merge of two joint-state topics",
            ),
            "joint_not_finite": (
                "a measured position is not a number",
                "a broken sensor or driver",
            ),
            "gripper_state_missing": (
                "no state of a gripper has arrived",
                "start its driver; compare its topic with the cell",
            ),
            "gripper_state_stale": (
                "the newest state of a gripper is too old",
                "check its driver",
            ),
            "gripper_state_range": (
                "a gripper is far outside of its range",
                "correct the gripper's `range`, `polarity` or `joint` in the cell",
            ),
            "skew": (
                "pictures and joint state were not captured at about one moment",
                "raise camera rates, trigger the cameras together, declare latencies",
            ),
            "observation_stale": (
                "the best set of samples is too old as a whole",
                "check the slowest camera",
            ),
        },
    ),
    **_group(
        "engine",
        {
            "engine_not_ready": (
                "the engine could not be loaded, or took too long for it",
                "its own message says why; the node tries again every second",
            ),
            "engine_gone": (
                "the engine's process ended",
                "read its output; the node starts it again by itself",
            ),
            "engine_hung": (
                "no answer within the time that the engine has",
                "the node starts it again; if it comes back often, raise `engine_timeout`",
            ),
            "engine_error": ("the engine says that it cannot answer", "its own message says why"),
            "engine_answer": (
                "the engine's process answered something that is no prediction",
                "an engine that does not keep to the interface",
            ),
            "checkpoint_contract": (
                "the checkpoint is not one for this cell",
                "use a checkpoint for this cell, or correct what the cell's `policy` says",
            ),
            "prompt_too_long": (
                "an instruction of more tokens than the policy reads",
                "say it in fewer words, or let the engine cut it (`cut_prompts=on`)",
            ),
            "error_reply": (
                "the server answered with an error instead of rows",
                "read the server's log; an overload passes by itself",
            ),
            "reply_incomplete": (
                "an answer without rows",
                "the server speaks another dialect of the protocol",
            ),
            "server_unreachable": (
                "the policy server cannot be reached",
                "start it; compare the address; the engine tries again by itself",
            ),
            "server_refused": (
                "the policy server does not let this client in",
                "check token and certificate; the server may have too many clients",
            ),
            "server_contract": (
                "the server's policy is not one for this cell",
                "serve a checkpoint for this cell, or correct what the cell's `policy` says",
            ),
            "server_timeout": (
                "no answer from the server within the engine's deadline",
                "a faster server or network, or a longer `deadline`",
            ),
            "connection_lost": (
                "the connection to the server broke before its answer was complete",
                "read the server's log; the engine connects again by itself",
            ),
            "reply_malformed": (
                "an answer that cannot be decoded",
                "the server speaks another protocol, or something in between spoils it",
            ),
            "reply_unrequested": (
                "an answer to another question, or to none",
                "one robot a connection: something in between mixes them up",
            ),
            "reply_rows": (
                "another number of rows than the server has announced",
                "a broken server",
            ),
            "reply_zeros": (
                "an answer in which every number is zero",
                "the server hides an error behind zeros: read its log, compare camera names",
            ),
            "prediction_shape": ("an answer that is not rows x columns", "as above"),
            "prediction_width": (
                "the policy has another number of columns than the cell",
                "use a checkpoint for this cell's layout",
            ),
            "prediction_not_finite": (
                "a policy's row holds NaN or infinity",
                "check normalisation statistics and the checkpoint",
            ),
            "unused_column": (
                "a column that must stay zero holds a value",
                "the policy is for an arm with more joints",
            ),
            "gripper_range": (
                "a gripper column far outside of the gripper's stroke",
                "gripper unit or statistics of the policy differ from the cell's `policy_unit`",
            ),
            "reference_missing": (
                "deltas are anchored to a reference that nobody has sent",
                "start the controller, or use `anchor: measured`",
            ),
        },
    ),
    **_group(
        "gate",
        {
            "target_names": (
                "targets do not name every joint of the cell exactly once",
                "a broken engine adapter",
            ),
            "target_shape": ("targets do not fit their names", "a broken engine adapter"),
            "row_time": (
                "rows are not as far apart as the contract says",
                "use a checkpoint with the cell's row rate",
            ),
            "target_not_finite": ("a target is NaN or infinite", "a broken engine adapter"),
            "plan_ahead": (
                "the plan begins more than a second from now",
                "the clocks differ, or one was set",
            ),
            "no_rows_left": ("every row is past", "the engine is too slow, or the clocks differ"),
            "zero_targets": (
                "all joints at zero, far from the present posture",
                "a server that hides its errors behind zeros: read its log",
            ),
            "constant_targets": (
                "every row is the same posture, and the arm is somewhere else",
                "the engine answers with a constant; a hold of the present posture is accepted",
            ),
            "repeated_prediction": (
                "the same rows, bit for bit, as in the answer before",
                "the engine repeats itself: restart it",
            ),
            "first_row_jump": (
                "the plan begins far from where the arm is commanded to be",
                "a wrong anchor or joint order, or an old plan",
            ),
            "position_limit": (
                "a row beyond the operating range of a joint",
                "the policy strays; move the arm back to a posture",
            ),
            "velocity_limit": (
                "rows faster than slowing down can repair",
                "wrong row rate or units, or a policy that strays",
            ),
            "acceleration_limit": (
                "rows more abrupt than slowing down can repair",
                "as velocity_limit",
            ),
            "slowed_down": (
                "accepted, and stretched in time to obey the operating limits",
                "nothing, unless it happens all the time: compare row rates",
            ),
            "workspace": (
                "the tool would leave the cell's tool box",
                "the policy strays; or enlarge `workspace.tool`",
            ),
            "keep_out": (
                "a link or the tool would enter a keep-out box",
                "the policy strays; or correct the box",
            ),
            "self_collision": ("two bodies of an arm would touch", "the policy strays"),
            "arm_collision": ("bodies of two arms would touch", "the policy strays"),
        },
    ),
    **_group(
        "scheduler",
        {
            "reply_old_instruction": (
                "an answer to an instruction that was replaced",
                "nothing: it is counted, and the next answer is used",
            ),
            "reply_unexpected": (
                "an answer that was given up, or that came twice",
                "nothing; many of them: raise the engine's time-out",
            ),
            "reply_stale": (
                "an answer older than the plan in execution",
                "nothing",
            ),
            "reply_late": (
                "too few rows of an answer are still ahead",
                "a faster engine, more rows, or a lower row rate",
            ),
            "reply_timeout": ("no answer in time", "check the engine and the network"),
        },
    ),
    **_group(
        "arbiter",
        {
            "motion_owned": (
                "something of higher priority moves the arms",
                "wait until it is done",
            ),
            "not_owner": (
                "a plan from somebody who does not own the motion (any more)",
                "nothing: it was pre-empted; ask again",
            ),
            "plan_before_handover": (
                "a plan that was made before its owner took over",
                "nothing: the next observation is newer",
            ),
            "stopped": ("the cell is stopped", "`labvla recover`"),
        },
    ),
    **_group(
        "move_to",
        {
            "posture_unknown": ("the cell has no posture of that name", "use one of its postures"),
            "joint_unknown": ("a joint that the cell does not have", "use the cell's joint names"),
            "goal_not_finite": ("a goal position is not a number", "give finite positions"),
            "speed_scale": ("a speed scale outside of 0 to 1", "give one above 0, at most 1"),
            "goal_shape": (
                "neither a posture nor joints with one position each, or both",
                "give either `posture`, or `joint_names` and as many `positions`",
            ),
            "not_at_rest": (
                "the arm moves: a posture is reached from rest",
                "wait until it stands still",
            ),
            "not_active": (
                "the policy node is not active, so nobody may move the arms",
                "wait until the engine is loaded, or activate the node",
            ),
            "controller_silent": (
                "no recent state of the controller",
                "start the controller; compare its name with the cell",
            ),
            "controller_paused": ("the controller is paused", "call `labvla/resume`"),
            "controller_fault": (
                "the controller has lost a precondition",
                "its state's `stop_reason` says which",
            ),
            "not_reached": (
                "the motion is over, and the arms are not where it leads",
                "look for what holds them; ask again",
            ),
            "planner_unready": (
                "MoveIt could not be started for this cell",
                "its message says why; `planner:=joint` goes straight instead",
            ),
            "planner_no_plan": (
                "MoveIt found no way to the goal",
                "go over another posture; raise `planning_time`",
            ),
            "planner_timeout": (
                "MoveIt did not answer in time",
                "ask again; raise `planning_time`",
            ),
            "planner_answer": (
                "MoveIt's answer is no way for this cell's joints",
                "compare its configuration and the robot's description with the cell",
            ),
            "planner_start": (
                "MoveIt's way begins somewhere else than the arms are",
                "ask again while the arms stand; compare the joint states with the cell",
            ),
            "planner_goal": (
                "MoveIt's way ends somewhere else than it should",
                "compare its joint limits with the cell; ask again",
            ),
        },
    ),
    **_group(
        "teleop",
        {
            "teleop_took_over": (
                "a person moves the arms; the policy waits, its instruction is kept",
                "`labvla/hand_back` lets it go on from where the arms are then",
            ),
            "teleop_handed_back": (
                "the person gave the motion back",
                "nothing: a policy with an instruction plans anew from here",
            ),
            "teleop_gone": (
                "the device's process says nothing any more; the arms stand and nobody owns them",
                "start `labvla teleop` again; hand back, or give the instruction again",
            ),
            "jog_silent": (
                "the device fell silent while it moved the arm, which comes to a smooth stop",
                "look at cable, network and the process; the next word moves the arm again",
            ),
            "jog_frame": ("a jog in a frame that the cell does not have", "use tool or base"),
            "jog_not_finite": ("a jog that is no number", "a broken device or publisher"),
            "jog_speed": ("a jog faster than any hand may go", "m/s and rad/s are expected"),
            "jog_gripper": (
                "an opening that the cell's grippers do not have",
                "metres between the fingers, by the gripper's name",
            ),
            "jog_limited": (
                "the arm itself is what slows the tool down: the end of a joint, or a singularity",
                "go another way, or turn the hand",
            ),
        },
    ),
    **_group(
        "gripper",
        {
            "gripper_missing": (
                "nobody offers the gripper's interface",
                "start its driver; compare the cell's `action` and `interface` with it",
            ),
            "gripper_refused": (
                "the gripper's driver rejected a goal",
                "read the driver's log; a Franka hand needs homing once",
            ),
            "gripper_silent": (
                "the gripper's driver did not answer a goal",
                "restart the driver",
            ),
            "gripper_failed": (
                "the driver gave a goal up, and the fingers are not where it leads",
                "look at the fingers; home the hand, or restart the driver",
            ),
            "gripper_hung": (
                "a goal has neither ended nor brought the fingers where it leads",
                "the fingers were told to stop; restart the driver if it comes back",
            ),
            "gripper_setpoint": (
                "set-points name a gripper that the cell does not have",
                "controller and bridge must run with the same cell",
            ),
        },
    ),
    **_group(
        "robot",
        {
            "robot_silent": (
                "nothing (recent) is known of the robot",
                "start its driver, and the robot node; compare the cell's `driver` with it",
            ),
            "emergency_stop": (
                "an emergency stop or the user stop is pressed",
                "look why; release the button, then `labvla recover`",
            ),
            "safeguard_stop": (
                "a safeguard (door, light curtain, enabling device) stops the robot",
                "clear and reset the safeguard, then `labvla recover`",
            ),
            "safety_fault": (
                "the robot's safety system wants a person at the pendant or in Desk",
                "do there what it asks, then `labvla recover`; nothing is restarted from here",
            ),
            "hand_guided": (
                "somebody guides the arm by hand",
                "end the guiding, then `labvla recover`",
            ),
            "protective_stop": (
                "the robot stopped itself: a collision, a limit, a reflex",
                "look why and clear it; then `labvla recover`",
            ),
            "robot_idle": (
                "the robot, its program, its hardware component or a controller is not active",
                "`labvla recover`",
            ),
            "payload_refused": (
                "the driver did not take the payload",
                "read its log; contact forces are wrong until it does",
            ),
        },
    ),
    **_group(
        "clock",
        {
            "clock_jump": (
                "stamps jumped: everything from before was forgotten",
                "a clock was set while running: synchronise before the start",
            ),
        },
    ),
}


def as_markdown() -> str:
    """Return all reasons as a table."""
    lines = ["| source | reason | meaning | what to do |", "|---|---|---|---|"]
    lines += [f"| {r.source} | `{n}` | {r.meaning} | {r.remedy} |" for n, r in REASONS.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
