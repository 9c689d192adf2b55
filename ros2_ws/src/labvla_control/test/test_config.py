"""A wrong configuration is refused by name; the hardware speed law becomes soft limits."""

from __future__ import annotations

import cells
import numpy as np
import pytest
from labvla_control import Config, Controller, config_from_dict


def changed(index: int, **changes) -> list[dict]:
    joints = cells.fr3_joints()
    for section, values in changes.items():
        joints[index] = {**joints[index], section: {**joints[index][section], **values}}
    return joints


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"joints": []}, "joints: expected 1 to 16"),
        ({"joints": cells.fr3_joints() + cells.fr3_joints()}, "fr3_joint1: name is used twice"),
        ({"joints": changed(2, operating={"velocity": 3.0})}, "fr3_joint3.operating.velocity"),
        (
            {"joints": changed(2, operating={"acceleration": 0.0})},
            "fr3_joint3.operating.acceleration",
        ),
        ({"joints": changed(0, operating={"acceleration": 0.5})}, "longer than standstill_limit"),
        ({"joints": changed(0, operating={"position_margin": 3.0})}, "no position is left"),
        (
            {"joints": changed(1, operating={"lower": 0.1, "upper": -0.1})},
            "fr3_joint2.operating: expected lower < upper",
        ),
        ({"joints": changed(1, operating={"upper": np.nan})}, "fr3_joint2.operating: expected"),
        ({"joints": changed(1, operating={"lower": 1.8})}, "no position is left"),
        ({"joints": changed(4, impedance={"stiffness": -1.0})}, "fr3_joint5.impedance"),
        ({"period": 0.0}, "period: expected"),
        ({"blind_limit": 2.0}, "blind_limit: expected"),
        ({"effort_unit": "ampere"}, "the cell says ampere"),
        ({"command": "position"}, "joint impedance needs an effort interface"),
        ({"compliance": "none"}, "an effort interface needs compliance"),
        (
            {"compliance": "sponge"},
            "config.compliance: expected one of none, impedance, admittance",
        ),
        ({"sponge": 1}, "config.sponge: unknown"),
        ({"period": "fast"}, "config.period: expected float, got str"),
    ],
)
def test_refused(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        cells.fr3(**changes)


def test_admittance_needs_a_wrist_wrench_most_of_all_on_a_ur() -> None:
    with pytest.raises(
        ValueError, match="needs a wrist wrench; effort in ampere cannot replace it"
    ):
        cells.ur5e(compliance="admittance")
    assert cells.ur5e(compliance="admittance", wrist_wrench=True).problems() == []


def test_controller_checks_what_was_changed_later() -> None:
    config = cells.fr3()
    config.joints[0].operating.jerk = -1.0
    with pytest.raises(ValueError, match=r"fr3_joint1.operating.jerk"):
        Controller(config)


def test_dict_fills_nested_values() -> None:
    config = config_from_dict({**cells.UR5E, "admittance": {"share": 0.2}})
    assert isinstance(config, Config)
    assert config.admittance.share == 0.2
    assert config.joints[0].name == "shoulder_pan_joint"


def test_the_operating_range_narrows_the_hardware_range_and_never_widens_it() -> None:
    plain = cells.ur5e().joints[1].soft_limits()
    joints = cells.ur5e_joints()
    joints[1]["operating"] |= {"lower": -3.1, "upper": -0.05}
    assert cells.ur5e(joints=joints).joints[1].soft_limits() == [-3.1, -0.05]
    joints[1]["operating"] |= {"lower": -9.0, "upper": 9.0}
    assert cells.ur5e(joints=joints).joints[1].soft_limits() == plain


@pytest.mark.parametrize("joint", list(cells.fr3().joints), ids=lambda joint: joint.name)
def test_braking_stays_below_the_speed_law_everywhere(joint) -> None:
    """Speed from which the operating limits can still stop, against what the drive allows there."""
    lower, upper = joint.soft_limits()
    distance = np.linspace(0.0, 0.5, 2000)
    speed = np.minimum(
        np.sqrt(2 * joint.operating.acceleration * distance), joint.operating.velocity
    )
    for d, v in zip(distance, speed, strict=True):
        assert v <= joint.hardware.speed_up_at(upper - d) + 1e-9
        assert v <= joint.hardware.speed_down_at(lower + d) + 1e-9
    # and the margin is not larger than it must be, where the law and not the plain margin decides
    law = joint.hardware.velocity_law
    if upper < joint.hardware.upper - joint.operating.position_margin - 1e-9:
        slack = [
            joint.hardware.speed_up_at(upper - d) - v for d, v in zip(distance, speed, strict=True)
        ]
        assert min(slack) <= 1e-3
        assert law is not None
