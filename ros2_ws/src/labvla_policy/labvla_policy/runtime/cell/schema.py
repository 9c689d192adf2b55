"""How a dataclass field says what may stand in the file: its bounds and its one-line reason.

The reader, the reference table and the hash all work from these declarations alone, so a new key
is one new line in one dataclass.
"""

import dataclasses
import functools
import re
import typing
from dataclasses import MISSING, dataclass
from typing import Annotated, Any

from labvla_policy.runtime.cell.units import Dimension


@dataclass(frozen=True)
class Form:
    """The shape that a text must have."""

    description: str
    pattern: re.Pattern[str]


IDENTIFIER = Form(
    "a name of lower-case letters, digits and _, starting with a letter",
    re.compile(r"[a-z][a-z0-9_]*"),
)
FREE_TEXT = Form("a text", re.compile(r".*\S.*", re.DOTALL))
JOINT_NAME = Form("a joint name of letters, digits and _", re.compile(r"[A-Za-z][A-Za-z0-9_]*"))
DATE = Form("a day as 2026-11-21", re.compile(r"\d{4}-\d{2}-\d{2}"))
DICTIONARY = Form("a dictionary as 5X5_100", re.compile(r"[4-7]X[4-7]_(?:50|100|250|1000)"))
PREFIX = Form("'' or a prefix that ends with _", re.compile(r"(?:[A-Za-z][A-Za-z0-9_]*_)?"))
FRAME_NAME = Form("a frame name", re.compile(r"[A-Za-z][A-Za-z0-9_/]*"))
HOST = Form(
    "a host name or an IPv4 address", re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
)
ROS_NAME = Form(
    "a valid ROS name such as camera/front/image_raw (letters, digits, _ and single /)",
    re.compile(r"/?[A-Za-z][A-Za-z0-9_]*(?:/[A-Za-z_][A-Za-z0-9_]*)*"),
)


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What the file may hold for one field, beyond the field's type."""

    reason: str
    dimension: Dimension | None = None
    form: Form | None = None
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    fewest: int = 0
    most: int | None = None
    per_joint: bool = False  # one number stands for every joint; a list must have one each
    hashed: bool = True

    def bounds(self) -> str:
        """The bounds as text, empty when there are none."""
        limits = (("≥", self.at_least), (">", self.above), ("≤", self.at_most))
        return " and ".join(f"{sign} {limit:g}" for sign, limit in limits if limit is not None)

    def admits(self, value: float) -> bool:
        """Whether a number lies inside the bounds."""
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
        )


def key(reason: str, dimension: Dimension | None = None, **limits: Any) -> Spec:
    """Annotate a dataclass field as a key of the cell file."""
    return Spec(reason=reason, dimension=dimension, **limits)


def per_joint(reason: str, dimension: Dimension, **limits: Any) -> Spec:
    """Annotate a quantity per joint, which a single number may stand for."""
    return Spec(reason=reason, dimension=dimension, per_joint=True, **limits)


@dataclass(frozen=True, kw_only=True)
class Key:
    """One key of the file, as its dataclass field declares it."""

    name: str
    type: Any
    spec: Spec
    default: Any

    @property
    def required(self) -> bool:
        """Whether the file must hold this key."""
        return self.default is MISSING


@functools.cache
def keys_of(cls: type) -> tuple[Key, ...]:
    """Return the keys that a dataclass declares, in the order of its fields."""
    hints = typing.get_type_hints(cls, include_extras=True)
    keys = []
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        if typing.get_origin(hint) is Annotated:
            keys.append(
                Key(
                    name=field.name,
                    type=hint.__origin__,
                    spec=hint.__metadata__[0],
                    default=field.default,
                )
            )
    return tuple(keys)
