from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "labvla_bringup"
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]


def shared(folder):
    """Install a folder of the repository's root into this package's share."""
    files = [path for path in sorted((ROOT / folder).rglob("*")) if path.is_file()]
    by_parent = {}
    for path in files:
        by_parent.setdefault(path.parent, []).append(f"../../../{path.relative_to(ROOT)}")
    return [
        (f"share/{PACKAGE}/{parent.relative_to(ROOT)}", sources)
        for parent, sources in by_parent.items()
    ]


setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(exclude=["test*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        *shared("config"),
        *shared("launch"),
        *shared("urdf"),
    ],
    entry_points={"console_scripts": ["labvla = labvla_bringup.cli:main"]},
)
