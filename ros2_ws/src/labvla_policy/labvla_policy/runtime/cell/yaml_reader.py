"""Reads YAML into frozen dataclasses and remembers the line of every key.

The dataclasses say what may stand in the file (see `schema`); this module only follows their
types. It never stops at the first mistake: a value that cannot be read is reported and left out,
and every cross-check that does not need it still runs.
"""

import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any, Literal, Union

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from labvla_policy.runtime.cell.problems import Problem, closest, did_you_mean, quoted
from labvla_policy.runtime.cell.schema import Key, Spec, keys_of
from labvla_policy.runtime.cell.units import QuantityError, parse_quantity

_TAG = "tag:yaml.org,2002:"
_NONE_WORDS = ("none", "null", "~", "")
# What YAML makes of a plain scalar by itself; any other tag was written out, and is reported so.
_PLAIN_TAGS = {"bool", "int", "float", "null", "timestamp", "merge", "value"}
_DEEPEST = 20  # a cell has 6 levels


@dataclass(frozen=True)
class Finding:
    """What a cross-check found; `key` is relative to the object that was checked."""

    key: str
    message: str
    hint: str = ""


# A cross-check takes the fields that it needs as parameters of the same name, and is left out when
# one of them could not be read.
Check = Callable[..., Iterable[Finding]]
Checks = Mapping[type, tuple[Check, ...]]


class _TooDeepError(Exception):
    """Brackets without end."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


class _UnreadType:
    """Stands for a value that was reported and could not be read."""


_UNREAD = _UnreadType()


class YamlReader:
    """Reads one file; `problems` and `lines` hold what was learnt on the way."""

    def __init__(self, file: str, checks: Checks) -> None:
        self._file = file
        self._checks = checks
        self._joint_count = 0  # of the arm being read; 0 while it is not known
        self.problems: list[Problem] = []
        self.lines: dict[str, int] = {}

    def read(self, cls: type, text: str) -> Any:
        """Return an instance of `cls`, or None when there are problems."""
        try:
            self._refuse_what_ros_parameters_cannot_hold(text)
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._add(
                mark.line + 1 if mark is not None else 1,
                "",
                f"expected YAML, got a syntax error: {error.problem or error.context}",
                "look at this line and the one above: indentation, quotes, brackets, colons",
            )
            return None
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            self._add(line, "", f"expected text, got the character {error.character:#x}")
            return None
        except _TooDeepError as error:
            message = f"expected at most {_DEEPEST} levels, got lists or keys nested deeper"
            self._add(error.line, "", message)
            return None
        if root is None:
            self._add(1, "", "expected a cell description, got nothing but blanks and comments")
            return None
        value = self._dataclass(cls, root, "")
        return None if self.problems or value is _UNREAD else value

    # Reporting -------------------------------------------------------------------------------

    def _add(self, line: int, path: str, message: str, hint: str = "") -> None:
        self.problems.append(
            Problem(file=self._file, line=line, key=path, message=message, hint=hint)
        )

    def _unread(self, path: str, message: str, hint: str = "") -> _UnreadType:
        self._add(self._line(path), path, message, hint)
        return _UNREAD

    def _line(self, path: str) -> int:
        while path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines[path]

    def _refuse_what_ros_parameters_cannot_hold(self, text: str) -> None:
        reason = "ROS parameter files cannot hold them, and parts of this file become one"
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            line = event.start_mark.line + 1 if event.start_mark is not None else 1
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:  # PyYAML would take minutes over a file full of brackets
                raise _TooDeepError(line)
            if isinstance(event, yaml.AliasEvent):
                hint = f"write the value out; {reason}"
                self._add(line, "", f"expected a value, got the alias *{event.anchor}", hint)
            elif isinstance(event, yaml.NodeEvent) and event.anchor is not None:
                hint = f"remove it; {reason}"
                self._add(line, "", f"expected no anchors, got &{event.anchor}", hint)
            if tag := getattr(event, "tag", None):
                shown = tag.replace(_TAG, "!!")
                self._add(
                    line, "", f"expected no tags, got {quoted(shown)}", f"remove it; {reason}"
                )

    # Mappings --------------------------------------------------------------------------------

    def _dataclass(self, cls: type, node: Node, path: str) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if not isinstance(node, MappingNode):
            return self._unread(path, f"expected keys and values, got {_shown(node)}")
        children = self._children(node, path)
        keys = {key.name: key for key in keys_of(cls)}
        meant = self._report_unknown(children, keys, path)
        outer_joint_count = self._joint_count
        if "joints" in keys and not keys["joints"].spec.per_joint:
            joints = children.get("joints")
            self._joint_count = len(joints.value) if isinstance(joints, SequenceNode) else 0

        values: dict[str, Any] = {}
        complete = True
        for name, key in keys.items():
            if name in children:
                value = self._value(key.type, key.spec, children[name], _join(path, name))
                if value is _UNREAD:
                    complete = False
                else:
                    values[name] = value
            elif key.required:
                complete = False
                if name not in meant:
                    self._unread(path, f"expected the key '{name}', got none", key.spec.reason)
            else:
                values[name] = key.default
        self._joint_count = outer_joint_count
        self._cross_check(cls, values, path)
        return cls(**values) if complete else _UNREAD

    def _children(self, node: MappingNode, path: str) -> dict[str, Node]:
        children: dict[str, Node] = {}
        for key_node, value_node in node.value:
            name, line = key_node.value, key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode):
                self._add(line, path, f"expected the name of a key, got {_shown(key_node)}")
            elif name in children:
                first = self.lines[_join(path, name)]
                message = f"expected each key once, got it on line {first} and again here"
                self._add(line, _join(path, name), message, "remove one of the two")
            else:
                children[name] = value_node
                self.lines[_join(path, name)] = line
        return children

    def _report_unknown(
        self, children: dict[str, Node], keys: Mapping[str, Key], path: str
    ) -> set[str]:
        """Report unknown keys; return the known ones that they seem to have been meant for."""
        missing = [name for name in keys if name not in children]
        meant: set[str] = set()
        for name in children:
            if name in keys:
                continue
            place = _join(path, name)
            if guess := closest(name, missing):
                meant.add(guess)
                hint = f"did you mean '{guess}'?"
            else:
                hint = did_you_mean(name, keys)
            self._add(self.lines[place], place, f"expected a known key, got {quoted(name)}", hint)
        return meant

    def _cross_check(self, cls: type, values: dict[str, Any], path: str) -> None:
        for check in self._checks.get(cls, ()):
            needed = inspect.signature(check).parameters
            if all(name in values for name in needed):
                for finding in check(**{name: values[name] for name in needed}):
                    place = _join(path, finding.key)
                    self._add(self._line(place), place, finding.message, finding.hint)

    # Values ----------------------------------------------------------------------------------

    def _value(self, hint: Any, spec: Spec, node: Node, path: str) -> Any:
        origin = typing.get_origin(hint)
        if origin in (Union, types.UnionType):
            return self._union(typing.get_args(hint), spec, node, path)
        if origin is Literal:
            return self._choice(typing.get_args(hint), node, path)
        if origin is tuple:
            return self._tuple(typing.get_args(hint), spec, node, path)
        if is_dataclass(hint):
            return self._dataclass(typing.cast("type", hint), node, path)
        if hint is float:
            return self._quantity(spec, node, path)
        if hint is int:
            return self._integer(spec, node, path)
        return self._text(spec, node, path)

    def _union(self, options: tuple[Any, ...], spec: Spec, node: Node, path: str) -> Any:
        if type(None) in options:
            if isinstance(node, ScalarNode) and node.value.lower() in _NONE_WORDS:
                return None
            options = tuple(option for option in options if option is not type(None))
        if len(options) == 1:
            return self._value(options[0], spec, node, path)
        by_kind = {
            kind: option
            for option in options
            for kind in typing.get_args(_key_type(option, "kind"))
        }
        if not isinstance(node, MappingNode):
            return self._unread(path, f"expected keys and values, got {_shown(node)}")
        chosen = next((value for key, value in node.value if key.value == "kind"), None)
        if chosen is None:
            known = ", ".join(by_kind)
            return self._unread(path, f"expected the key 'kind' ({known}), got none")
        self.lines[_join(path, "kind")] = chosen.start_mark.line + 1
        kind = self._choice(tuple(by_kind), chosen, _join(path, "kind"))
        return _UNREAD if kind is _UNREAD else self._dataclass(by_kind[kind], node, path)

    def _tuple(self, items: tuple[Any, ...], spec: Spec, node: Node, path: str) -> Any:
        item_type, any_length = items[0], items[-1] is Ellipsis
        count = None if any_length else len(items)
        if spec.per_joint:
            count = self._joint_count or None
            if isinstance(node, ScalarNode):
                one = self._value(item_type, spec, node, path)
                return _UNREAD if one is _UNREAD or count is None else (one,) * count
        if not isinstance(node, SequenceNode):
            return self._unread(path, f"expected a list, got {_shown(node)}")
        got = len(node.value)
        if count is not None and got != count:
            reason = ", one per joint" if spec.per_joint else ""
            return self._unread(path, f"expected {count} values{reason}, got {got}")
        if got < spec.fewest:
            message = f"expected at least {spec.fewest}, got an empty list"
            return self._unread(path, message, spec.reason)
        if spec.most is not None and got > spec.most:
            return self._unread(path, f"expected at most {spec.most}, got {got}", spec.reason)
        values = []
        for index, item in enumerate(node.value):
            place = f"{path}[{index}]"
            self.lines[place] = item.start_mark.line + 1
            values.append(self._value(item_type, spec, item, place))
        if spec.per_joint and count is None:  # the joints themselves were reported
            return _UNREAD
        return _UNREAD if any(value is _UNREAD for value in values) else tuple(values)

    def _scalar(self, expected: str, node: Node, path: str) -> str | None:
        if isinstance(node, ScalarNode) and (node.tag != _TAG + "null" or node.style):
            return str(node.value)
        self._unread(path, f"expected {expected}, got {_shown(node)}")
        return None

    def _quantity(self, spec: Spec, node: Node, path: str) -> Any:
        dimension = spec.dimension
        assert dimension is not None, f"{path}: a float field without a dimension"
        text = self._scalar(str(dimension), node, path)
        if text is None:
            return _UNREAD
        try:
            value = parse_quantity(text, dimension)
        except QuantityError as error:
            return self._unread(path, str(error), error.hint)
        if not spec.admits(value):
            unit = f" {dimension.si_unit}" if dimension.si_unit else ""
            message = f"expected a {dimension.name} {spec.bounds()}{unit}, got {quoted(text)}"
            return self._unread(path, message, spec.reason)
        return value

    def _integer(self, spec: Spec, node: Node, path: str) -> Any:
        expected = f"a whole number {spec.bounds()}".rstrip()
        text = self._scalar(expected, node, path)
        if text is None:
            return _UNREAD
        digits = text.removeprefix("-")
        # The length guard keeps int() from a number that Python itself refuses to convert.
        if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
            return self._unread(path, f"expected {expected}, got {quoted(text)}")
        if not spec.admits(int(text)):
            return self._unread(path, f"expected {expected}, got {text}", spec.reason)
        return int(text)

    def _choice(self, options: tuple[str, ...], node: Node, path: str) -> Any:
        expected = options[0] if len(options) == 1 else f"one of {', '.join(options)}"
        text = self._scalar(expected, node, path)
        if text is None:
            return _UNREAD
        if text not in options:
            guess = closest(text, options)
            hint = f"did you mean '{guess}'?" if guess else ""
            return self._unread(path, f"expected {expected}, got {quoted(text)}", hint)
        return text

    def _text(self, spec: Spec, node: Node, path: str) -> Any:
        form = spec.form
        assert form is not None, f"{path}: a text field without a form"
        text = self._scalar(form.description, node, path)
        if text is None:
            return _UNREAD
        if node.tag != _TAG + "str":
            kind = node.tag.removeprefix(_TAG)
            if kind not in _PLAIN_TAGS:
                return _UNREAD
            message = f"expected {form.description}, got {quoted(text)}, which YAML reads as {kind}"
            return self._unread(path, message, "put it in quotes, or choose another name")
        if not form.pattern.fullmatch(text):
            return self._unread(path, f"expected {form.description}, got {quoted(text)}")
        return text


def _key_type(cls: type, name: str) -> Any:
    return next(key.type for key in keys_of(cls) if key.name == name)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name else path or name


def _shown(node: Node) -> str:
    if isinstance(node, MappingNode):
        return "keys and values"
    if isinstance(node, SequenceNode):
        return f"a list of {len(node.value)}" if node.value else "an empty list"
    return quoted(node.value) if node.value else "nothing"
