"""Whatever happens to a shipped file, loading it yields a valid cell or a CellError."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from cell_support import SHIPPED, text_of
from hypothesis import given, settings
from hypothesis import strategies as st

from labvla_policy.runtime.cell import Cell, CellError, load_cell
from labvla_policy.runtime.cell.hashing import normalised
from labvla_policy.runtime.cell.problems import SCREEN_LINES

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["none", "1 Hz", "-3 deg", "1 kg", "0", "home", "effort", "impedance", "a/b"]),
)
YAML_SIGNS = ["\t", "&a ", "*a", "!!x ", "{", "- ", "? ", "---\n"]
JUNK = st.characters(codec="utf-8")
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["kind", "name", "x", "joints", "c"]), inner, max_size=3)
    ),
    max_leaves=6,
)


class NoAliases(yaml.SafeDumper):
    """Writes a repeated part out, as people do."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a tree."""
    found = []
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in keys:
        found += [(value, key), *places(value[key])]
    return found


def loaded(folder: Path, name: str, text: str) -> Cell | None:
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    lines = text.count("\n") + 1
    try:
        return load_cell(path)
    except CellError as error:
        refusal = error
    assert refusal.problems
    assert len(str(refusal).splitlines()) <= SCREEN_LINES
    for problem in refusal.problems:
        assert problem.file == str(path)
        assert problem.message.startswith("expected ")
        assert problem.line is None or 1 <= problem.line <= lines
    return None


def holds_its_promises(folder: Path, cell: Cell) -> None:
    """What every loaded cell must satisfy, however it came about."""
    text = yaml.safe_dump(normalised(cell), allow_unicode=True)
    assert loaded(folder, cell.name, text) == cell
    assert len(set(cell.joints)) == len(cell.joints)
    assert [camera.slot for camera in cell.policy_cameras] == list(range(len(cell.policy_cameras)))
    assert cell.policy_cameras
    placed = [name for name in cell.column_names if name is not None]
    assert len(placed) == len(cell.joints) + len(cell.arms)
    for arm in cell.arms:
        for operating, hardware in zip(
            arm.operating_limits.velocity, arm.hardware_limits.velocity, strict=True
        ):
            assert 0 < operating <= hardware


@pytest.mark.parametrize("name", SHIPPED)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_mutated_trees(tmp_path_factory: pytest.TempPathFactory, name: str, data: Any) -> None:
    folder = tmp_path_factory.mktemp("cells")
    tree = yaml.safe_load(text_of(name))
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(places(tree)))
        action = data.draw(st.sampled_from(["delete", "rename", "replace", "repeat"]))
        if action == "delete":
            del container[key]
        elif action == "replace":
            container[key] = data.draw(VALUES)
        elif isinstance(container, list):
            container.append(container[key])
        else:
            container[data.draw(st.text(max_size=10))] = container.pop(key)
        if not tree:
            break
    cell = loaded(folder, name, yaml.dump(tree, Dumper=NoAliases, allow_unicode=True))
    if cell is not None:
        holds_its_promises(folder, cell)


@pytest.mark.parametrize("name", SHIPPED)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_mutated_texts(tmp_path_factory: pytest.TempPathFactory, name: str, data: Any) -> None:
    folder = tmp_path_factory.mktemp("cells")
    text = text_of(name)
    start = data.draw(st.integers(0, len(text)))
    end = start + data.draw(st.integers(0, 40))
    junk = data.draw(st.text(JUNK, max_size=12) | st.sampled_from(YAML_SIGNS))
    cell = loaded(folder, name, text[:start] + junk + text[end:])
    if cell is not None:
        holds_its_promises(folder, cell)
