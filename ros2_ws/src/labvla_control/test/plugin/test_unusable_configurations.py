"""What cannot be used is refused when the controller is loaded or configured, by name."""

from __future__ import annotations

from pathlib import Path

import yaml
from availability import require_controller_manager

require_controller_manager()

from cell_rig import CONTROLLER, parameters_of  # noqa: E402
from controller_manager_rig import Manager  # noqa: E402
from mock_robot import ur5e  # noqa: E402

UR5E = Path(__file__).parent / "params" / "ur5e_position.yaml"


def test_unusable_configurations_are_refused_by_name(tmp_path: Path) -> None:
    changes = {
        "too_fast": ("operating_limits", "elbow_joint", "velocity", 4.0),
        "stopping_too_slowly": ("operating_limits", "elbow_joint", "acceleration", 0.5),
        "unknown_link": ("wrist", "arm", "frame", "nowhere"),
        "no_sensor": ("wrists", []),
        "bad_bound": ("state_rate", 0.0),
    }
    expected = {
        "too_fast": "elbow_joint.operating.velocity",
        "stopping_too_slowly": "elbow_joint: stopping from",
        "unknown_link": "no link 'nowhere'",
        "no_sensor": "needs a wrist wrench; effort in ampere cannot replace it",
        "bad_bound": "state_rate",
    }
    manager_parameters = {"update_rate": 500}
    document = {"controller_manager": {"ros__parameters": manager_parameters}}
    for name, (*keys, value) in changes.items():
        manager_parameters[name] = {"type": "labvla_control/CompliantTrajectoryController"}
        inner = parameters = parameters_of(UR5E, CONTROLLER)
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value
        document[name] = {"ros__parameters": parameters}
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(document))
    with Manager(ur5e(), [path], tmp_path / "manager.log") as manager:
        for name in changes:
            assert not manager.try_load(name), name
            assert expected[name] in manager.log(), name
