from setuptools import find_packages, setup

PACKAGE = "labvla_train"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(exclude=["test*"]),
    package_data={PACKAGE: ["configs/*.yaml"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ],
)
