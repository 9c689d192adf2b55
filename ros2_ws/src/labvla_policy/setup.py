from setuptools import find_packages, setup

PACKAGE = "labvla_policy"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(exclude=["test*"]),
    package_data={PACKAGE: ["checkpoints/*/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ],
    entry_points={
        "console_scripts": [
            "controller_bridge_node = labvla_policy.nodes.controller_bridge_node:main",
            "gripper_bridge_node = labvla_policy.nodes.gripper_bridge_node:main",
            "monitor_node = labvla_policy.nodes.monitor_node:main",
            "policy_node = labvla_policy.nodes.policy_node:main",
            "robot_node = labvla_policy.nodes.robot_node:main",
        ],
        "labvla.engines": [
            "blind = labvla_policy.engines.blind:BlindEngine",
            "faulty = labvla_policy.engines.faulty:FaultyEngine",
            "labvla = labvla_policy.engines.labvla.engine:LabvlaEngine",
            "remote = labvla_policy.engines.remote.engine:RemoteEngine",
            "replay = labvla_policy.engines.replay:ReplayEngine",
        ],
    },
)
