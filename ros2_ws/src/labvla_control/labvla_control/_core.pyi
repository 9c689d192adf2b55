"""Types of the native module. Kept by hand; test_stub.py compares it with the module."""

import enum
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

class CommandInterface(enum.Enum):
    POSITION = 0
    EFFORT = 1

class EffortUnit(enum.Enum):
    NEWTON_METRE = 0
    AMPERE = 1

class Compliance(enum.Enum):
    NONE = 0
    IMPEDANCE = 1
    ADMITTANCE = 2

class VelocityLaw:
    def __init__(self) -> None: ...
    offset: float
    slope: float
    lower: float
    upper: float

class HardwareLimits:
    def __init__(self) -> None: ...
    lower: float
    upper: float
    velocity: float
    velocity_law: VelocityLaw | None
    def speed_up_at(self, q: float) -> float: ...
    def speed_down_at(self, q: float) -> float: ...

class OperatingLimits:
    def __init__(self) -> None: ...
    velocity: float
    acceleration: float
    jerk: float
    position_margin: float
    lower: float
    upper: float

class ImpedanceGains:
    def __init__(self) -> None: ...
    stiffness: float
    damping_ratio: float
    inertia: float
    error_clip: float
    torque: float
    torque_rate: float
    repulsion_stiffness: float
    repulsion_zone: float

class JointConfig:
    def __init__(self) -> None: ...
    name: str
    hardware: HardwareLimits
    operating: OperatingLimits
    impedance: ImpedanceGains
    start_tolerance: float
    tracking_tolerance: float
    def soft_limits(self) -> list[float]: ...

class GripperConfig:
    def __init__(self) -> None: ...
    name: str
    lower: float
    upper: float

class AdmittanceConfig:
    def __init__(self) -> None: ...
    mass: list[float]
    stiffness: list[float]
    damping_ratio: list[float]
    force_dead_band: float
    torque_dead_band: float
    max_translation: float
    max_rotation: float
    max_joint_offset: float
    share: float
    inverse_damping: float
    payload_mass: float
    payload_centre: list[float]
    gravity: list[float]

class JointConfigs:
    def __init__(self, items: Sequence[JointConfig] = ..., /) -> None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> JointConfig: ...
    def __setitem__(self, index: int, item: JointConfig, /) -> None: ...
    def __iter__(self) -> Iterator[JointConfig]: ...
    def append(self, item: JointConfig, /) -> None: ...
    def clear(self) -> None: ...

class GripperConfigs:
    def __init__(self, items: Sequence[GripperConfig] = ..., /) -> None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> GripperConfig: ...
    def __setitem__(self, index: int, item: GripperConfig, /) -> None: ...
    def __iter__(self) -> Iterator[GripperConfig]: ...
    def append(self, item: GripperConfig, /) -> None: ...
    def clear(self) -> None: ...

class Config:
    def __init__(self) -> None: ...
    joints: JointConfigs
    grippers: GripperConfigs
    period: float
    command: CommandInterface
    compliance: Compliance
    effort_unit: EffortUnit
    wrist_wrench: bool
    admittance: AdmittanceConfig
    stiffness_scale_rate: float
    blind_limit: float
    standstill_limit: float
    longest_overrun: float
    shortest_blend: float
    longest_blend: float
    plan_share: float
    longest_lead: float
    longest_age: float
    clock_tolerance: float
    standstill_speed: float
    anchor_tolerance: float
    state_grace: int
    def problems(self) -> list[str]: ...

class Mode(enum.Enum):
    HOLD = 0
    TRACKING = 1
    STOPPING = 2
    STOPPED = 3
    PAUSED = 4
    FAULT = 5

class StopReason(enum.Enum):
    NONE = 0
    END_OF_DATA = 1
    BLIND_LIMIT = 2
    REQUESTED = 3
    PAUSED = 4
    NOT_READY = 5
    STATE_INVALID = 6
    TRACKING_ERROR = 7
    SPEED_ZERO = 8

class Refusal(enum.Enum):
    LOOP_NOT_RUNNING = 18
    STARTS_TOO_FAR_AHEAD = 14
    NONE = 0
    NOT_ACTIVE = 1
    STOPPED = 2
    PAUSED = 3
    FAULT = 4
    SPEED_ZERO = 5
    BAD_SHAPE = 6
    BAD_ROW_PERIOD = 7
    UNKNOWN_NAME = 8
    REPEATED_NAME = 9
    MISSING_JOINT = 10
    NON_FINITE = 11
    OLD_SEQUENCE = 12
    TOO_OLD = 15
    ENDS_IN_PAST = 16
    FIRST_ROW_FAR = 17
    OBSERVATION_AHEAD = 13

class Chunk:
    def __init__(
        self,
        joint_names: Sequence[str],
        targets: Floats,
        dt: float,
        *,
        plan_start_ns: int,
        sequence: int,
        observation_ns: int | None = None,
        session: int = 0,
        gripper_names: Sequence[str] = [],
        gripper_targets: Floats | None = None,
    ) -> None: ...
    @property
    def rows(self) -> int: ...
    @property
    def dt(self) -> float: ...
    @property
    def plan_start_ns(self) -> int: ...
    @property
    def observation_ns(self) -> int: ...
    @property
    def session(self) -> int: ...
    @property
    def sequence(self) -> int: ...

class Verdict:
    @property
    def accepted(self) -> bool: ...
    @property
    def refusal(self) -> Refusal: ...
    @property
    def joint(self) -> int: ...
    @property
    def value(self) -> float: ...
    @property
    def expected(self) -> float: ...
    @property
    def late_rows(self) -> int: ...
    @property
    def row_change(self) -> float: ...
    def __str__(self) -> str: ...

class State:
    @property
    def time(self) -> float: ...
    @property
    def stamp_ns(self) -> int: ...
    @property
    def activation(self) -> int: ...
    @property
    def mode(self) -> Mode: ...
    @property
    def stop_reason(self) -> StopReason: ...
    @property
    def closed(self) -> Refusal: ...
    @property
    def limited(self) -> bool: ...
    @property
    def position(self) -> Floats: ...
    @property
    def velocity(self) -> Floats: ...
    @property
    def acceleration(self) -> Floats: ...
    @property
    def offset(self) -> Floats: ...
    @property
    def command(self) -> Floats: ...
    @property
    def measured_position(self) -> Floats: ...
    @property
    def measured_velocity(self) -> Floats: ...
    @property
    def gripper(self) -> Floats: ...
    @property
    def session(self) -> int: ...
    @property
    def sequence(self) -> int: ...
    @property
    def chunk_age(self) -> float: ...
    @property
    def plan_remaining(self) -> float: ...
    @property
    def plan_rate(self) -> float: ...
    @property
    def blend(self) -> float: ...
    @property
    def deviation(self) -> float: ...
    @property
    def largest_deviation(self) -> float: ...
    @property
    def speed_scaling(self) -> float: ...
    @property
    def stiffness_scale(self) -> float: ...
    @property
    def anchors(self) -> int: ...
    @property
    def splices(self) -> int: ...
    @property
    def samples_limited(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def stops(self) -> dict[str, int]: ...

class Controller:
    def __init__(self, config: Config) -> None: ...
    def activate(self, position: Floats, velocity: Floats | None = None) -> None: ...
    def deactivate(self) -> None: ...
    def submit(self, chunk: Chunk, received_ns: int | None = None) -> Verdict: ...
    def update(
        self,
        position: Floats,
        velocity: Floats,
        *,
        ready: bool = True,
        speed_scaling: float = 1.0,
        elapsed: float = 0.0,
        stamp_ns: int = 0,
        feedforward: Floats | None = None,
        wrench: Floats | None = None,
        rotation: Floats | None = None,
        jacobian: Floats | None = None,
    ) -> State: ...
    def stop(self) -> None: ...
    def reset_stop(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def tare(self) -> None: ...
    def set_stiffness_scale(self, scale: float) -> None: ...
    def state(self) -> State: ...
    def counters(self) -> dict[str, int]: ...
    @property
    def limits(self) -> Floats: ...

class EventKind(enum.Enum):
    STOP = 0
    RESET_STOP = 1
    PAUSE = 2
    RESUME = 3
    READY = 4
    SPEED_SCALING = 5
    MEASURED_VALID = 6
    STIFFNESS_SCALE = 7
    DISPLACE = 8

class JointPlant:
    def __init__(self) -> None: ...
    inertia: float
    viscous: float
    coulomb: float
    payload: float
    payload_angle: float
    wall: float
    wall_stiffness: float
    wall_damping: float

class TorquePlant:
    def __init__(
        self,
        joints: Sequence[JointPlant],
        position: Sequence[float],
        period: float,
        *,
        position_noise: float = 0.0,
        velocity_noise: float = 0.0,
        seed: int = 1,
    ) -> None: ...
    def step(self, torque: Floats) -> None: ...
    def contact(self, joint: int) -> float: ...
    @property
    def position(self) -> Floats: ...
    @property
    def velocity(self) -> Floats: ...
    @property
    def measured_position(self) -> Floats: ...
    @property
    def measured_velocity(self) -> Floats: ...

class ServoArm:
    def __init__(self) -> None: ...
    links: list[float]
    lag: float
    wall: float
    wall_stiffness: float
    wall_damping: float
    force_noise: float
    payload_mass: float

class ServoPlant:
    def __init__(
        self, arm: ServoArm, position: Sequence[float], period: float, *, seed: int = 1
    ) -> None: ...
    def step(self, command: Floats) -> None: ...
    def push(self, x: float, y: float) -> None: ...
    @property
    def position(self) -> Floats: ...
    @property
    def velocity(self) -> Floats: ...
    @property
    def wrench(self) -> Floats: ...
    @property
    def rotation(self) -> Floats: ...
    @property
    def jacobian(self) -> Floats: ...
    @property
    def tool_x(self) -> float: ...
    @property
    def tool_y(self) -> float: ...
    @property
    def contact(self) -> float: ...

def run_stream(
    config: Config,
    start: Floats,
    chunks: Sequence[tuple[float, Chunk]],
    duration: float,
    events: Sequence[tuple[float, EventKind, float]],
    plant: TorquePlant | None,
) -> dict[str, object]: ...
