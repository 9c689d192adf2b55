"""The hand-kept stub and the native module offer the same names."""

from __future__ import annotations

import ast
import enum
from pathlib import Path

import labvla_control
from labvla_control import _core

STUB = Path(labvla_control.__file__).with_name("_core.pyi")
CONTAINERS = {"JointConfigs", "GripperConfigs"}  # bound lists have many more methods than we use


def public(names: list[str]) -> set[str]:
    return {name for name in names if not name.startswith("_")}


def stub_names(node: ast.ClassDef | ast.Module) -> set[str]:
    names = []
    for item in node.body:
        match item:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.append(name)
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.append(name)
            case ast.Assign(targets=[ast.Name(id=name)]):
                names.append(name)
    return public(names)


def test_stub_matches_module() -> None:
    tree = ast.parse(STUB.read_text())
    assert stub_names(tree) - {"Floats"} == public(dir(_core))
    for node in tree.body:
        if not isinstance(node, ast.ClassDef) or node.name in CONTAINERS:
            continue
        bound = getattr(_core, node.name)
        members = public(bound.__members__) if issubclass(bound, enum.Enum) else public(dir(bound))
        assert stub_names(node) == members, node.name
