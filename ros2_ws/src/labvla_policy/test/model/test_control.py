"""What a checkpoint says about its rows as motion is read without the network."""

import json
import re

import pytest

from labvla_policy.model.checkpoint.source import find_checkpoint
from labvla_policy.model.control import ControlContract, local_control
from labvla_policy.model.errors import CheckpointError, ConfigError

SAID = {"row_rate": 30.0, "row_offset": 1, "anchor": "measured", "execute_rows": 16}


@pytest.fixture
def checkpoint(tmp_path):
    def made(config):
        (tmp_path / "config.json").write_text(
            config if isinstance(config, str) else json.dumps(config)
        )
        return str(tmp_path)

    return made


def test_what_a_folder_says_is_read(checkpoint):
    assert local_control(checkpoint({"control": SAID})) == ControlContract(**SAID)
    assert local_control("labvla-mini").execute_rows == 12


@pytest.mark.parametrize("source", ["someone/some-model", "no-such-folder"])
def test_of_what_is_not_here_nothing_is_known(source):
    assert local_control(source) == ControlContract()


def test_a_folder_may_say_nothing(checkpoint, tmp_path):
    assert local_control(str(tmp_path)) == ControlContract()
    assert local_control(checkpoint({"chunk_size": 50})) == ControlContract()


@pytest.mark.parametrize(
    ("config", "error", "complaint"),
    [
        ("{", CheckpointError, "expected JSON"),
        ({"control": [1]}, ConfigError, "control: expected an object, got [1]"),
        ({"control": {"execute_rows": 0}}, ConfigError, "execute_rows: expected 1 or more, got 0"),
        ({"control": {"execute_rows": "8"}}, ConfigError, "execute_rows: expected a whole number"),
        ({"control": {"row_offset": 2}}, ConfigError, "row_offset: expected 0 or 1, got 2"),
    ],
)
def test_nonsense_is_refused_by_name(checkpoint, config, error, complaint):
    with pytest.raises(error, match=re.escape(complaint)):
        local_control(checkpoint(config))


def test_what_is_written_about_a_checkpoint_makes_no_other_of_it(checkpoint, tmp_path):
    folder = checkpoint({"control": SAID})
    before = find_checkpoint(folder).digest
    (tmp_path / "README.md").write_text("It was trained for three hours.")
    assert find_checkpoint(folder).digest == before
    checkpoint({"control": SAID | {"execute_rows": 8}})
    assert find_checkpoint(folder).digest != before
