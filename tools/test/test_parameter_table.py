"""The document of parameters says what is enforced, of every node that a stack starts."""

from importlib import import_module
from pathlib import Path

import pytest
import yaml
from parameter_table import CONTROLLER_FILE, NODES, ROOT, as_markdown, controller_rows, node_rows

from labvla_bringup.stack import describe
from labvla_policy.nodes.parameters import Flag, Number, Options, ParameterError, Text, Whole
from labvla_policy.runtime.cell import load_cell

DOCUMENT = ROOT / "docs" / "parameters.md"


def test_the_document_has_the_tables():
    assert as_markdown() in DOCUMENT.read_text(encoding="utf-8")


def test_every_node_of_the_stack_is_there_and_gets_only_parameters_that_it_has():
    stack = describe(load_cell("franka"))
    for process in stack.processes:
        declared = {row.name for row in node_rows(NODES[process.name])}
        assert set(process.parameters) - {"use_sim_time"} <= declared


def test_every_declaration_module_is_in_the_table():
    files = (ROOT / "ros2_ws" / "src").glob("*/*/nodes/*_parameters.py")
    assert {f"{f.parents[1].name}.nodes.{f.stem}" for f in files} == set(NODES.values())


@pytest.mark.parametrize("module", NODES.values())
def test_a_node_reads_all_that_it_declares(module):
    declarations = import_module(module)
    node = Path(declarations.__file__.replace("_parameters.py", "_node.py"))
    names = {value: name for name, value in vars(declarations).items() if hasattr(value, "read")}
    text = node.read_text(encoding="utf-8")
    for parameter in declarations.PARAMETERS:
        assert f"{names[parameter]}.read(self)" in text


def test_every_parameter_has_a_reason_of_one_line():
    for row in (
        *controller_rows(),
        *(row for module in NODES.values() for row in node_rows(module)),
    ):
        assert row.reason, row.name
        assert "\n" not in row.reason, row.name


def test_no_parameter_of_the_controller_is_left_out():
    names = {row.name for row in controller_rows()}
    assert {"joints", "blind_limit", "admittance.<wrist>.share"} <= names
    assert any("<joint>" in name for name in names)
    described = CONTROLLER_FILE.read_text(encoding="utf-8").count("description:")
    assert len(names) == described


def test_a_validation_without_words_is_an_error(tmp_path):
    rule = {"type": "double", "default_value": 1.0, "description": "x", "validation": {"odd<>": []}}
    file = tmp_path / "parameters.yaml"
    file.write_text(yaml.safe_dump({"compliant_trajectory_controller": {"a": rule}}))
    with pytest.raises(ValueError, match="odd"):
        controller_rows(file)


class Node:
    """Takes a declaration as rclpy does, with the value that somebody has given."""

    def __init__(self, given=None):
        self.given = given
        self.descriptor = None

    def declare_parameter(self, name, default, descriptor):
        self.descriptor = descriptor
        value = default if self.given is None else self.given
        return type("Parameter", (), {"value": value})()


@pytest.mark.parametrize(
    ("declared", "given", "value"),
    [
        (Text("a", "x", "b"), None, "b"),
        (Number("a", "x", 1.0, 0.0, 2.0), 1.5, 1.5),
        (Whole("a", "x", 1, 0, 2), None, 1),
        (Flag("a", "x"), True, True),
        (Options("a", "x"), '{"k": "v"}', {"k": "v"}),
    ],
)
def test_a_value_is_read_with_its_type_and_cannot_be_changed_later(declared, given, value):
    node = Node(given)
    assert declared.read(node) == value
    assert node.descriptor.read_only
    assert node.descriptor.description == "x"


@pytest.mark.parametrize(
    ("declared", "given"),
    [
        (Text("speed", "x", "b", ("b", "c")), "d"),
        (Text("speed", "x"), ""),
        (Number("speed", "x", 1.0, 0.0, 2.0), float("nan")),
        (Options("speed", "x"), "{"),
        (Options("speed", "x"), "[]"),
        (Options("speed", "x"), '{"k": 1}'),
    ],
)
def test_a_wrong_value_is_refused_with_the_name(declared, given):
    with pytest.raises(ParameterError, match="parameter speed"):
        declared.read(Node(given))


def test_the_file_is_where_the_tool_looks_for_it():
    assert Path(CONTROLLER_FILE).is_file()
