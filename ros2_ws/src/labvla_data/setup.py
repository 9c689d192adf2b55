from setuptools import find_packages, setup

PACKAGE = "labvla_data"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(exclude=["test*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ],
    entry_points={
        "console_scripts": ["recorder_node = labvla_data.nodes.recorder_node:main"],
    },
)
