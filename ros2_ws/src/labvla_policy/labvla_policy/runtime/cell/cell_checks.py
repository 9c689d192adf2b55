"""Whether the arms, cameras, boxes and the policy contract of one cell fit each other.

A check takes the keys that it needs as parameters of the same name (see `yaml_reader.Check`).
"""

from collections.abc import Iterator

from labvla_policy.runtime.cell.arm import REACH, Arm
from labvla_policy.runtime.cell.arm_checks import repeated
from labvla_policy.runtime.cell.contract import LAYOUTS, LayoutName, PolicyContract
from labvla_policy.runtime.cell.geometry import Box, KeepOut, Vector3
from labvla_policy.runtime.cell.model import Camera, Cell, Controller, Workspace
from labvla_policy.runtime.cell.problems import did_you_mean
from labvla_policy.runtime.cell.yaml_reader import Checks, Finding

# From the flange to the far end of the longest tool: a box beyond reach plus this stops nothing.
TOOL_ALLOWANCE = 0.35
# Two arms whose feet are nearer than this stand inside each other.
LEAST_BASE_DISTANCE = 0.2


def arms_are_distinct(arms: tuple[Arm, ...]) -> Iterator[Finding]:
    """Everything about two arms in one controller manager is told apart by name."""
    for what in ("name", "prefix", "base_frame", "flange_frame"):
        names = [getattr(arm, what) for arm in arms]
        yield from repeated(names, f"arms[{{}}].{what}", what)
    fingers = [(arm.gripper.state_topic.lstrip("/"), arm.gripper.joint) for arm in arms]
    for finding in repeated(fingers, "arms[{}].gripper.joint", "gripper joint on its topic"):
        yield Finding(finding.key, "expected another joint or state_topic than the other gripper")
    actions = [arm.gripper.action.lstrip("/") for arm in arms]
    yield from repeated(actions, "arms[{}].gripper.action", "gripper action")
    for index, arm in enumerate(arms[1:], start=1):
        apart = _distance(arm.base.position, arms[0].base.position)
        if apart < LEAST_BASE_DISTANCE:
            yield Finding(
                f"arms[{index}].base.position",
                f"expected the arms at least {LEAST_BASE_DISTANCE:g} m apart, got {apart:g} m",
            )


def arms_share_one_plan(arms: tuple[Arm, ...]) -> Iterator[Finding]:
    """One controller, one policy and one move_to drive all arms."""
    first = arms[0]
    postures = sorted(posture.name for posture in first.postures)
    for index, arm in enumerate(arms[1:], start=1):
        others = sorted(posture.name for posture in arm.postures)
        if others != postures:
            yield Finding(
                f"arms[{index}].postures",
                f"expected the postures of arm '{first.name}' ({', '.join(postures)}), "
                f"got {', '.join(others)}",
                "move_to sends all arms to one posture together",
            )
        if arm.command_interface != first.command_interface:
            yield Finding(
                f"arms[{index}].command_interface",
                f"expected {first.command_interface} as for arm '{first.name}', "
                f"got {arm.command_interface}",
                "one controller moves all arms, on one kind of interface",
            )
        if arm.gripper.policy_unit != first.gripper.policy_unit:
            yield Finding(
                f"arms[{index}].gripper.policy_unit",
                f"expected {first.gripper.policy_unit} as for arm '{first.name}', "
                f"got {arm.gripper.policy_unit}",
                "a checkpoint has one meaning for all gripper columns",
            )


def cameras_fill_the_slots(cameras: tuple[Camera, ...]) -> Iterator[Finding]:
    """The policy's images are slots 0, 1, 2 without a gap."""
    yield from repeated([camera.name for camera in cameras], "cameras[{}].name", "camera name")
    yield from repeated([camera.topic for camera in cameras], "cameras[{}].topic", "image topic")
    slots = [camera.slot for camera in cameras]
    taken = [slot for slot in slots if slot is not None]
    for index, slot in enumerate(slots):
        if slot is not None and slot in slots[:index]:
            first = cameras[slots.index(slot)].name
            message = f"expected a free slot, got {slot}, which camera '{first}' has"
            yield Finding(f"cameras[{index}].slot", message)
    if not taken:
        yield Finding("cameras", "expected a camera in slot 0, got none in any slot")
    elif len(set(taken)) == len(taken) <= max(taken):
        last, free = max(taken), min(set(range(max(taken))) - set(taken))
        message = f"expected slots without a gap, got {last} while slot {free} is empty"
        yield Finding(f"cameras[{slots.index(last)}].slot", message)


def cameras_are_mounted_on_known_frames(
    frame: str, arms: tuple[Arm, ...], cameras: tuple[Camera, ...]
) -> Iterator[Finding]:
    """A camera stands in the cell or moves with an arm."""
    known = [frame, *(name for arm in arms for name in (arm.base_frame, arm.flange_frame))]
    for index, camera in enumerate(cameras):
        if camera.mount.frame not in known:
            yield Finding(
                f"cameras[{index}].mount.frame",
                f"expected one of {', '.join(known)}, got '{camera.mount.frame}'",
                did_you_mean(camera.mount.frame, known),
            )
        if camera.calibration and camera.calibration.board_place.frame not in known:
            yield Finding(
                f"cameras[{index}].calibration.board_place.frame",
                f"expected one of {', '.join(known)}, got '{camera.calibration.board_place.frame}'",
                did_you_mean(camera.calibration.board_place.frame, known),
            )


def box_is_ordered(lower: Vector3, upper: Vector3) -> Iterator[Finding]:
    """A box has a volume."""
    for axis, (low, high) in enumerate(zip(lower, upper, strict=True)):
        if low >= high:
            message = f"expected {'xyz'[axis]} above lower ({low:g} m), got {high:g} m"
            yield Finding(f"upper[{axis}]", message)


def keep_out_leaves_room(tool: Box, keep_out: tuple[KeepOut, ...]) -> Iterator[Finding]:
    """There is somewhere left to work."""
    names = [box.name for box in keep_out]
    yield from repeated(names, "keep_out[{}].name", "name")
    for index, box in enumerate(keep_out):
        if box.contains(tool):
            message = f"expected a box that leaves room to work, got '{box.name}' around all of it"
            yield Finding(f"keep_out[{index}]", message, "look at workspace.tool and at the signs")


def boxes_are_within_reach(arms: tuple[Arm, ...], workspace: Workspace) -> Iterator[Finding]:
    """A box that no arm can touch protects nothing: a sign or a unit is wrong."""
    boxes = [("workspace.tool", workspace.tool)]
    boxes += [(f"workspace.keep_out[{i}]", box) for i, box in enumerate(workspace.keep_out)]
    for place, box in boxes:
        beyond = min(
            box.distance(arm.base.position) - REACH[arm.kind] - TOOL_ALLOWANCE for arm in arms
        )
        if beyond > 0:
            message = f"expected a box that an arm can reach, got one {beyond:.2f} m beyond reach"
            yield Finding(place, message, "look for a wrong sign or unit")


def layout_holds_every_joint(arms: tuple[Arm, ...], policy: PolicyContract) -> Iterator[Finding]:
    """No joint is lost on the way between robot and policy."""
    counts = [len(arm.joints) for arm in arms]
    if _fits(counts, policy.layout):
        return
    layout = policy.columns
    room = " and ".join(str(len(columns.joints)) for columns in layout.arms)
    fitting = [name for name in LAYOUTS if _fits(counts, name)]
    yield Finding(
        "policy.layout",
        f"expected a layout for {' and '.join(map(str, counts))} joints, got {policy.layout}: "
        f"{layout.width} columns with room for {room}",
        f"take {' or '.join(fitting)}: {LAYOUTS[fitting[0]].meaning}" if fitting else "",
    )


def _fits(joint_counts: list[int], layout: LayoutName) -> bool:
    columns = LAYOUTS[layout].arms
    return len(columns) == len(joint_counts) and all(
        count <= len(arm.joints) for count, arm in zip(joint_counts, columns, strict=True)
    )


def controller_is_faster_than_rows(
    controller: Controller, policy: PolicyContract
) -> Iterator[Finding]:
    """Every row of a chunk lasts several control cycles."""
    if controller.rate < 2 * policy.row_rate:
        yield Finding(
            "controller.rate",
            f"expected at least twice the row rate ({2 * policy.row_rate:g} Hz), "
            f"got {controller.rate:g} Hz",
        )


def _distance(a: Vector3, b: Vector3) -> float:
    return float(sum((p - q) ** 2 for p, q in zip(a, b, strict=True)) ** 0.5)


CELL_CHECKS: Checks = {
    Cell: (
        arms_are_distinct,
        arms_share_one_plan,
        cameras_fill_the_slots,
        cameras_are_mounted_on_known_frames,
        boxes_are_within_reach,
        layout_holds_every_joint,
        controller_is_faster_than_rows,
    ),
    Workspace: (keep_out_leaves_room,),
    Box: (box_is_ordered,),
    KeepOut: (box_is_ordered,),
}
