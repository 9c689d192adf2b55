"""One arm of a cell: its joints, limits, compliance, gripper and tool."""

from dataclasses import dataclass
from typing import Annotated, Literal

from labvla_policy.runtime.cell.geometry import Pose, Vector3
from labvla_policy.runtime.cell.limits import HardwareLimits, OperatingLimits, PerJoint
from labvla_policy.runtime.cell.schema import (
    FRAME_NAME,
    HOST,
    IDENTIFIER,
    JOINT_NAME,
    PREFIX,
    ROS_NAME,
    key,
    per_joint,
)
from labvla_policy.runtime.cell.units import (
    ANGLE,
    ANGULAR_STIFFNESS,
    FORCE,
    INERTIA,
    LENGTH,
    MASS,
    RATIO,
    SPEED,
    STIFFNESS,
    TORQUE,
    TORQUE_RATE,
)

ArmKind = Literal["fr3", "ur5e"]

# The drivers' own names (without the cell's prefix), in the order of a policy's columns. FR3v2 has
# the FR3's kinematics and limits but its own names.
DRIVER_JOINTS: dict[ArmKind, tuple[tuple[str, ...], ...]] = {
    "fr3": (
        tuple(f"fr3_joint{n}" for n in range(1, 8)),
        tuple(f"fr3v2_joint{n}" for n in range(1, 8)),
    ),
    "ur5e": (
        (
            "shoulder_pan_joint",
            "shoulder_lift_joint",
            "elbow_joint",
            "wrist_1_joint",
            "wrist_2_joint",
            "wrist_3_joint",
        ),
    ),
}

# From the base to the flange with the arm stretched out: bounds what a box can be in the way of.
REACH: dict[ArmKind, float] = {"fr3": 0.855, "ur5e": 0.85}


@dataclass(frozen=True, kw_only=True)
class Impedance:
    """Joint springs on an effort interface: the arm yields where it touches."""

    kind: Annotated[Literal["impedance"], key("needs command_interface: effort")]
    stiffness: Annotated[PerJoint, per_joint("spring per joint", ANGULAR_STIFFNESS, above=0)]
    damping_ratio: Annotated[
        PerJoint, per_joint("1 is critically damped", RATIO, above=0, at_most=3)
    ]
    error_clip: Annotated[
        PerJoint,
        per_joint(
            "largest position error that the spring sees, so that a blocked arm pushes no harder",
            ANGLE,
            above=0,
        ),
    ]
    torque: Annotated[
        PerJoint, per_joint("largest torque that the spring may ask for", TORQUE, above=0)
    ]
    torque_rate: Annotated[
        PerJoint, per_joint("largest change of the commanded torque", TORQUE_RATE, above=0)
    ]


@dataclass(frozen=True, kw_only=True)
class Admittance:
    """The wrist wrench moves the reference of a position interface: the arm yields at the tool."""

    kind: Annotated[Literal["admittance"], key("needs command_interface: position and a wrench")]
    mass: Annotated[Vector3, key("virtual mass along x, y, z", dimension=MASS, above=0)]
    inertia: Annotated[Vector3, key("virtual inertia about x, y, z", dimension=INERTIA, above=0)]
    stiffness: Annotated[Vector3, key("spring along x, y, z", dimension=STIFFNESS, above=0)]
    angular_stiffness: Annotated[
        Vector3, key("spring about x, y, z", dimension=ANGULAR_STIFFNESS, above=0)
    ]
    damping_ratio: Annotated[
        float, key("1 is critically damped", dimension=RATIO, above=0, at_most=5)
    ]
    force_deadband: Annotated[
        float, key("forces below this are taken for sensor noise", dimension=FORCE, at_least=0)
    ]
    torque_deadband: Annotated[
        float, key("torques below this are taken for sensor noise", dimension=TORQUE, at_least=0)
    ]
    max_offset: Annotated[
        float,
        key("how far the tool may yield along any axis", dimension=LENGTH, above=0, at_most=0.3),
    ]
    max_rotation: Annotated[
        float,
        key("how far the tool may yield about any axis", dimension=ANGLE, above=0, at_most=0.8),
    ]


@dataclass(frozen=True, kw_only=True)
class Rigid:
    """No compliance: the position reference is followed as stiffly as the robot can."""

    kind: Annotated[
        Literal["rigid"], key("for an arm without a wrist wrench on a position interface")
    ]


@dataclass(frozen=True, kw_only=True)
class Wrench:
    """A force and torque reading at the wrist."""

    source: Annotated[
        Literal["measured", "estimated"],
        key("measured by a sensor, or estimated by the robot from its joint torques"),
    ]
    sensor: Annotated[
        str, key("name of the sensor's state interfaces in ros2_control", form=ROS_NAME)
    ]
    topic: Annotated[str, key("where the reading is published for recording", form=ROS_NAME)]
    frame: Annotated[str, key("frame in which the reading is expressed", form=FRAME_NAME)]


@dataclass(frozen=True, kw_only=True)
class Gripper:
    """What every two-finger gripper of a cell declares."""

    joint: Annotated[str, key("joint whose state tells the opening", form=JOINT_NAME)]
    state_topic: Annotated[str, key("joint-state topic that carries this joint", form=ROS_NAME)]
    action: Annotated[str, key("name under which the driver offers the interface", form=ROS_NAME)]
    polarity: Annotated[
        Literal["larger_opens", "larger_closes"],
        key("what a larger joint value means; range and polarity together fix open and closed"),
    ]
    stroke: Annotated[
        float, key("total distance between the open fingers", dimension=LENGTH, above=0)
    ]
    speed: Annotated[float, key("closing and opening speed", dimension=SPEED, above=0)]
    force: Annotated[float, key("largest grasping force", dimension=FORCE, above=0)]
    policy_unit: Annotated[
        Literal["finger_width", "total_width", "open_fraction", "closed_fraction"],
        key(
            "what the policy's gripper column means: metres per finger, metres between the "
            "fingers, or 0 to 1 of the way open or closed"
        ),
    ]
    range: tuple[float, float]

    @property
    def closed(self) -> float:
        """The joint value of the closed gripper."""
        return self.range[0] if self.polarity == "larger_opens" else self.range[1]

    @property
    def open(self) -> float:
        """The joint value of the open gripper."""
        return self.range[1] if self.polarity == "larger_opens" else self.range[0]


@dataclass(frozen=True, kw_only=True)
class FrankaHand(Gripper):
    """The Franka hand: two coupled sliding fingers."""

    kind: Annotated[Literal["franka_hand"], key("sliding fingers, range in metres per finger")]
    interface: Annotated[
        Literal["move_and_grasp", "gripper_command"],
        key(
            "franka_gripper's move and grasp actions (total width), or GripperCommand (half of it)"
        ),
    ]
    range: Annotated[
        tuple[float, float],
        key("smallest and largest value of the joint", dimension=LENGTH, at_least=0),
    ]


@dataclass(frozen=True, kw_only=True)
class Robotiq2F85(Gripper):
    """The Robotiq 2F-85: two fingers driven by one knuckle."""

    kind: Annotated[Literal["robotiq_2f85"], key("knuckle joint, range as an angle")]
    interface: Annotated[
        Literal["parallel_gripper_command", "gripper_command"],
        key("the action that robotiq_gripper_controller offers, with the knuckle angle"),
    ]
    range: Annotated[
        tuple[float, float],
        key("smallest and largest value of the joint", dimension=ANGLE, at_least=0),
    ]


@dataclass(frozen=True, kw_only=True)
class Payload:
    """What hangs on the flange when the gripper is empty."""

    mass: Annotated[float, key("mass of the tool", dimension=MASS, at_least=0)]
    com: Annotated[Vector3, key("its centre of mass in the flange's frame", dimension=LENGTH)]


@dataclass(frozen=True, kw_only=True)
class FrankaDriver:
    """The robot's driver is franka_ros2."""

    kind: Annotated[Literal["franka_ros2"], key("for fr3; the tool's mass is set in Desk")]
    address: Annotated[
        str, key("the robot's name or address in the network", form=HOST, hashed=False)
    ]


@dataclass(frozen=True, kw_only=True)
class UrDriver:
    """The robot's driver is ur_robot_driver."""

    kind: Annotated[Literal["ur_robot_driver"], key("for ur5e; it is told the payload")]
    address: Annotated[
        str, key("the robot's name or address in the network", form=HOST, hashed=False)
    ]
    program: Annotated[
        Literal["pendant", "headless"],
        key(
            "who starts the program: the pendant has it (External Control), or the driver sends it"
        ),
    ]
    payload_held: Annotated[
        Payload | None,
        key("payload while the gripper holds something; none: it counts as empty"),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Posture:
    """A named set of joint positions."""

    name: Annotated[str, key("how move_to asks for it", form=IDENTIFIER)]
    joints: Annotated[PerJoint, per_joint("one position per joint", ANGLE)]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One arm with its gripper."""

    name: Annotated[
        str, key("how the rest of this file and the messages call the arm", form=IDENTIFIER)
    ]
    kind: Annotated[ArmKind, key("selects kinematics, inertias and the simulated robot")]
    prefix: Annotated[
        str, key("what the driver puts before every joint and frame name", form=PREFIX)
    ]
    joints: Annotated[
        tuple[str, ...],
        key(
            "the driver's joint names, in the order of the policy's columns",
            form=JOINT_NAME,
            fewest=1,
        ),
    ]
    base_frame: Annotated[str, key("frame of the arm's foot in its URDF", form=FRAME_NAME)]
    flange_frame: Annotated[
        str, key("frame that tcp, payload and wrist cameras refer to", form=FRAME_NAME)
    ]
    base: Annotated[Pose, key("pose of base_frame in the cell's frame")]
    tcp: Annotated[Pose, key("tool centre point between the fingertips, in flange_frame")]
    payload: Annotated[Payload, key("tool mass, for gravity and wrench compensation")]
    driver: Annotated[
        FrankaDriver | UrDriver | None,
        key("what connects the robot; none: the cell is only simulated"),
    ] = None
    effort_unit: Annotated[
        Literal["newton_metre", "ampere"],
        key("unit of `effort` in the joint states; motor current is no torque"),
    ]
    command_interface: Annotated[Literal["effort", "position"], key("what the controller writes")]
    wrench: Annotated[Wrench | None, key("wrist force and torque, or none")] = None
    compliance: Annotated[Impedance | Admittance | Rigid, key("how the arm yields to contact")]
    gripper: Annotated[FrankaHand | Robotiq2F85, key("the gripper on the flange")]
    hardware_limits: Annotated[HardwareLimits, key("what the driver enforces")]
    operating_limits: Annotated[OperatingLimits, key("what the reference obeys")]
    postures: Annotated[
        tuple[Posture, ...],
        key("named joint positions; `home` is required and all arms have the same names", fewest=1),
    ]

    @property
    def gripper_name(self) -> str:
        """Name of the gripper's column; finger joints of two hands may share one name."""
        return f"{self.name}_gripper"

    def posture(self, name: str) -> Posture:
        """Return a posture by name."""
        return next(posture for posture in self.postures if posture.name == name)
