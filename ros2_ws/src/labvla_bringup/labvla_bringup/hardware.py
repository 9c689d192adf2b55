"""What is said about a real robot when its cell is started, and cannot stand in the cell file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ControllerKind = Literal["labvla", "jtc", "crisp"]

FAKE_ADDRESS = "0.0.0.0"  # the drivers want one even where they use none


class HardwareError(ValueError):
    """The robot cannot be started like this; the text says why."""


@dataclass(frozen=True)
class Hardware:
    """How the robot of a cell is reached and driven."""

    addresses: Mapping[str, str] = field(default_factory=dict)  # by the arm's name
    fake: bool = False  # the makers' fake hardware: no robot, commands come back as states
    controller: ControllerKind = "labvla"
    drive: bool = True  # False: the drivers run on another computer
    kinematics: Mapping[str, str] = field(default_factory=dict)  # UR: calibration, by arm
    tool_port: Mapping[str, str] = field(default_factory=dict)  # Robotiq: device, by arm

    def address(self, arm: str) -> str:
        """Return where an arm is reached, or raise HardwareError."""
        if self.fake:
            return FAKE_ADDRESS
        address = self.addresses.get(arm, "")
        if not address:
            raise HardwareError(
                f"{arm}: expected the robot's address (robot_ip); without a robot: "
                "use_fake_hardware:=true, or sim:=true"
            )
        return address
