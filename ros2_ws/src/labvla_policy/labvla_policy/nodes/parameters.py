"""Typed parameters: each with a reason and bounds, read once at the start."""

from __future__ import annotations

from dataclasses import dataclass

from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter


class ParameterError(ValueError):
    """A parameter is missing or wrong; the text names it."""


@dataclass(frozen=True)
class Text:
    """A parameter that holds text."""

    name: str
    reason: str
    default: str | None = None
    choices: tuple[str, ...] = ()

    def read(self, node: Node) -> str:
        """Declare the parameter and return its value."""
        descriptor = ParameterDescriptor(
            description=self.reason,
            read_only=True,
            additional_constraints=f"one of {', '.join(self.choices)}" if self.choices else "",
        )
        value = _declare(node, self.name, Parameter.Type.STRING, self.default, descriptor)
        if not value and self.default is None:
            raise ParameterError(f"parameter {self.name}: expected a value ({self.reason})")
        if self.choices and value not in self.choices:
            raise ParameterError(
                f"parameter {self.name}: expected one of {', '.join(self.choices)}, got {value!r}"
            )
        return str(value)


@dataclass(frozen=True)
class Number:
    """A parameter that holds a number."""

    name: str
    reason: str
    default: float
    at_least: float
    at_most: float

    def read(self, node: Node) -> float:
        """Declare the parameter and return its value."""
        descriptor = ParameterDescriptor(
            description=self.reason,
            read_only=True,
            floating_point_range=[
                FloatingPointRange(from_value=self.at_least, to_value=self.at_most)
            ],
        )
        return float(
            _declare(node, self.name, Parameter.Type.DOUBLE, self.default, descriptor)  # type: ignore[arg-type]
        )


def _declare(
    node: Node,
    name: str,
    kind: Parameter.Type,
    default: object,
    descriptor: ParameterDescriptor,
) -> object:
    try:
        if default is None:
            parameter = node.declare_parameter(name, kind, descriptor)
        else:
            parameter = node.declare_parameter(name, default, descriptor)
    except Exception as error:  # rclpy has a class for every way in which a value can be wrong
        raise ParameterError(f"parameter {name} ({descriptor.description}): {error}") from error
    return parameter.value
