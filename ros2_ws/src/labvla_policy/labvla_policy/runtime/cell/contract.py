"""What a policy and a cell must agree on: which number in a row means what, and when."""

from dataclasses import dataclass
from typing import Annotated, Literal

from labvla_policy.runtime.cell.schema import key
from labvla_policy.runtime.cell.units import FREQUENCY

LayoutName = Literal["single_8", "dual_14", "dual_16"]
ActionSpace = Literal["absolute", "delta_from_observation", "velocity"]
Anchor = Literal["measured", "reference"]


@dataclass(frozen=True)
class ArmColumns:
    """Columns of one arm; an arm with fewer joints leaves the last joint columns zero."""

    joints: tuple[int, ...]
    gripper: int


@dataclass(frozen=True)
class Layout:
    """Which column of a state or action row belongs to which joint."""

    arms: tuple[ArmColumns, ...]
    canonical: bool  # whether the public checkpoints of this model family know it
    meaning: str

    @property
    def width(self) -> int:
        """Number of columns."""
        return sum(len(arm.joints) + 1 for arm in self.arms)

    @property
    def gripper_columns(self) -> tuple[int, ...]:
        """The columns that hold gripper openings: absolute even where joints are deltas."""
        return tuple(arm.gripper for arm in self.arms)


LAYOUTS: dict[LayoutName, Layout] = {
    "single_8": Layout(
        arms=(ArmColumns((0, 1, 2, 3, 4, 5, 6), 7),),
        canonical=True,
        meaning="7 joints, gripper; a 6-joint arm leaves column 6 zero",
    ),
    "dual_14": Layout(
        arms=(ArmColumns((0, 1, 2, 3, 4, 5), 6), ArmColumns((7, 8, 9, 10, 11, 12), 13)),
        canonical=True,
        meaning="left 6 joints, left gripper, right 6 joints, right gripper",
    ),
    "dual_16": Layout(
        arms=(ArmColumns((0, 1, 2, 3, 4, 5, 6), 7), ArmColumns((8, 9, 10, 11, 12, 13, 14), 15)),
        canonical=False,
        meaning="left 7 joints, left gripper, right 7 joints, right gripper; "
        "no public checkpoint has it, so it needs its own fine-tune",
    ),
}


@dataclass(frozen=True, kw_only=True)
class PolicyContract:
    """What the cell expects of every policy that drives it."""

    layout: Annotated[LayoutName, key("meaning of the columns of a state or action row")]
    action_space: Annotated[ActionSpace, key("what the joint columns of an action hold")]
    anchor: Annotated[
        Anchor, key("what a delta is added to: the measured joints or the controller's reference")
    ]
    row_offset: Annotated[
        int,
        key(
            "0: row 0 is for the time of the observation; 1: for one row later",
            at_least=0,
            at_most=1,
        ),
    ]
    row_rate: Annotated[
        float,
        key(
            "rows per second; a policy trained at another rate would move too fast or too slow",
            dimension=FREQUENCY,
            at_least=1,
            at_most=200,
        ),
    ]

    @property
    def columns(self) -> Layout:
        """The layout itself."""
        return LAYOUTS[self.layout]
