from setuptools import find_packages, setup

PACKAGE = "labvla_sim"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(exclude=["test*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ],
    entry_points={
        "console_scripts": [
            "sim_node = labvla_sim.nodes.sim_node:main",
            "window_node = labvla_sim.nodes.window_node:main",
        ],
        "labvla.engines": ["expert = labvla_sim.nodes.expert_engine:ExpertEngine"],
    },
)
