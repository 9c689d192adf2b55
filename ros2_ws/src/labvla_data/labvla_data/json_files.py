"""JSON in files, one value or one a line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class JsonFileError(ValueError):
    """A file does not hold what it should; the text names it."""


def as_text(value: Any) -> str:
    """Return a value as people like to read it."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write one value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_text(value))


def write_lines(path: Path, values: Iterable[Any]) -> None:
    """Write one value a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(value, ensure_ascii=False, allow_nan=False) for value in values]
    path.write_text("".join(f"{line}\n" for line in lines))


def read_json(path: Path) -> Any:
    """Read one value."""
    return _parsed(path, _text(path), "")


def read_lines(path: Path) -> list[Any]:
    """Read one value a line."""
    lines = enumerate(_text(path).splitlines(), 1)
    return [_parsed(path, line, f":{number}") for number, line in lines if line.strip()]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise JsonFileError(f"{path}: expected a file, there is none") from None
    except (OSError, UnicodeDecodeError) as error:
        raise JsonFileError(f"{path}: cannot be read: {error}") from None


def _parsed(path: Path, text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise JsonFileError(f"{path}{where}: expected JSON: {error}") from None
