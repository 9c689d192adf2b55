"""Typed parameters: each with a reason and bounds, read once at the start.

Nodes keep their declarations in a module of their own, from which tools/parameter_table.py prints
docs/parameters.md.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter


class ParameterError(ValueError):
    """A parameter is missing or wrong; the text names it."""


class Declared(Protocol):
    """What every kind of parameter tells about itself."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def reason(self) -> str:
        """One line: what it is for."""

    @property
    def kind(self) -> str:
        """Its type, as ROS calls it."""

    @property
    def default(self) -> Any:
        """Its value if none is given; None where one has to be."""

    @property
    def bound(self) -> str:
        """What is accepted, in words; empty for anything."""


@dataclass(frozen=True)
class Text:
    """A parameter that holds text."""

    name: str
    reason: str
    default: str | None = None
    choices: tuple[str, ...] = ()
    kind: ClassVar[str] = "string"

    @property
    def bound(self) -> str:
        """What is accepted."""
        return f"one of {', '.join(self.choices)}" if self.choices else ""

    def read(self, node: Node) -> str:
        """Declare the parameter and return its value."""
        value = _declare(node, self, Parameter.Type.STRING, additional_constraints=self.bound)
        if not value and self.default is None:
            raise ParameterError(f"parameter {self.name}: expected a value ({self.reason})")
        if self.choices and value not in self.choices:
            raise ParameterError(f"parameter {self.name}: expected {self.bound}, got {value!r}")
        return str(value)


@dataclass(frozen=True)
class Options:
    """A parameter that holds a JSON object of texts."""

    name: str
    reason: str
    default: str = "{}"
    kind: ClassVar[str] = "string"
    bound: ClassVar[str] = "a JSON object whose values are text"

    def read(self, node: Node) -> dict[str, str]:
        """Declare the parameter and return its value."""
        text = _declare(node, self, Parameter.Type.STRING, additional_constraints=self.bound)
        try:
            value = json.loads(str(text))
        except ValueError as error:
            raise ParameterError(
                f"parameter {self.name}: expected {self.bound}, got {text!r}: {error}"
            ) from None
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise ParameterError(f"parameter {self.name}: expected {self.bound}, got {text!r}")
        return value


@dataclass(frozen=True)
class Number:
    """A parameter that holds a number."""

    name: str
    reason: str
    default: float
    at_least: float
    at_most: float
    kind: ClassVar[str] = "double"

    @property
    def bound(self) -> str:
        """What is accepted."""
        return f"{self.at_least:.10g} to {self.at_most:.10g}"

    def read(self, node: Node) -> float:
        """Declare the parameter and return its value."""
        bounds = FloatingPointRange(from_value=self.at_least, to_value=self.at_most)
        value = _declare(node, self, Parameter.Type.DOUBLE, floating_point_range=[bounds])
        if not math.isfinite(value):  # a NaN is outside of no range
            raise ParameterError(f"parameter {self.name}: expected {self.bound}, got {value}")
        return float(value)


@dataclass(frozen=True)
class Whole:
    """A parameter that holds a whole number."""

    name: str
    reason: str
    default: int
    at_least: int
    at_most: int
    kind: ClassVar[str] = "integer"

    @property
    def bound(self) -> str:
        """What is accepted."""
        return f"{self.at_least} to {self.at_most}"

    def read(self, node: Node) -> int:
        """Declare the parameter and return its value."""
        bounds = IntegerRange(from_value=self.at_least, to_value=self.at_most)
        return int(_declare(node, self, Parameter.Type.INTEGER, integer_range=[bounds]))


@dataclass(frozen=True)
class Flag:
    """A parameter that is true or false."""

    name: str
    reason: str
    default: bool = False
    kind: ClassVar[str] = "bool"
    bound: ClassVar[str] = ""

    def read(self, node: Node) -> bool:
        """Declare the parameter and return its value."""
        return bool(_declare(node, self, Parameter.Type.BOOL))


def _declare(node: Node, declared: Declared, kind: Parameter.Type, **bounds: Any) -> Any:
    descriptor = ParameterDescriptor(description=declared.reason, read_only=True, **bounds)
    value = kind if declared.default is None else declared.default
    try:
        parameter = node.declare_parameter(declared.name, value, descriptor)
    except Exception as error:  # rclpy has a class for every way in which a value can be wrong
        expected = f"the type {declared.kind}" + (f", {declared.bound}" if declared.bound else "")
        raise ParameterError(
            f"parameter {declared.name} ({declared.reason}): expected {expected}; {error}"
        ) from error
    return parameter.value
