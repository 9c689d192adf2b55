"""The text that describes a message type inside a bag, with everything that the type refers to.

A bag must be readable where the packages are not installed, so it carries the definitions along:
the `.msg` file of the type, then those of its parts, each behind a line of 80 equals signs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

SEPARATOR = "=" * 80
_PRIMITIVES = frozenset({"bool", "byte", "char", "string", "wstring"}) | {
    f"{kind}{bits}"
    for kind, sizes in (("float", (32, 64)), ("int", (8, 16, 32, 64)), ("uint", (8, 16, 32, 64)))
    for bits in sizes
}
# The type of a field: up to the array brackets or the bound of a string.
_FIELD = re.compile(r"\s*(?P<type>[A-Za-z][\w/]*)")

Find = Callable[[str], str]


class DefinitionError(LookupError):
    """A message type cannot be described; the text says why."""


def installed(kind: str) -> str:
    """Return the `.msg` file of an installed type such as `sensor_msgs/msg/Image`."""
    package, _, name = kind.partition("/msg/")
    try:
        path = Path(get_package_share_directory(package), "msg", f"{name}.msg")
        return path.read_text()
    except (PackageNotFoundError, ValueError, OSError) as error:
        raise DefinitionError(
            f"{kind}: expected the definition of an installed message, got: {error}"
        ) from None


def definition(kind: str, find: Find = installed) -> str:
    """Return the definition of a type and of all its parts, in the format `ros2msg`."""
    parts: dict[str, str] = {}
    waiting = [kind]
    while waiting:
        name = waiting.pop(0)
        if name not in parts:
            parts[name] = find(name)
            waiting += _referred(name, parts[name])
    root, *others = parts
    sections = [parts[root]]
    sections += [f"{SEPARATOR}\nMSG: {_short(name)}\n{parts[name]}" for name in others]
    return "\n".join(sections)


def _short(kind: str) -> str:
    return kind.replace("/msg/", "/")


def _referred(kind: str, text: str) -> list[str]:
    """Return the message types that a definition uses, in order."""
    package = kind.partition("/")[0]
    found = []
    for line in text.splitlines():
        field = _FIELD.match(line.partition("#")[0])
        if field is None or field["type"] in _PRIMITIVES:
            continue
        owner, _, name = field["type"].rpartition("/")
        owner = owner.removesuffix("/msg") or package
        found.append(f"{owner}/msg/{name}")
    return found
