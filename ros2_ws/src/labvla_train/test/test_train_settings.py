"""Settings are refused by the key that is wrong, with what was expected and what came."""

import re
from dataclasses import replace

import pytest
import yaml
from train_support import tiny

from labvla_train.errors import TrainError
from labvla_train.settings import AugmentSettings, read_settings, settings_from
from labvla_train.shipped import find_beside, find_settings


def minimal(**changes):
    values = {"data": {"dataset": "demos"}, "run": {"steps": 10}, "start": "checkpoint"}
    return values | changes


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (minimal(rum={}), "rum: no such key"),
        (minimal(run={"steps": 10, "bacth": 3}), "run.bacth: no such key; expected one of"),
        (minimal(run={}), "run.steps: is missing"),
        (minimal(data={}), "data.dataset: is missing"),
        (minimal(run={"steps": "ten"}), "run: steps: expected a whole number, got 'ten'"),
        (minimal(run={"steps": 0}), "run.steps: expected 1 or more, got 0"),
        (minimal(run=None), "run: is missing"),
        (minimal(run=3), "run.: expected a section, got 3"),
        (minimal(data={"dataset": "d", "frames": "raw"}), "expected one of decoded, cached"),
        (minimal(data={"dataset": "d", "held_out": 2}), "data.held_out: expected 0 to 1, got 2.0"),
        (minimal(augment={"shift": -1}), "augment.shift: expected 0 or more, got -1"),
        (minimal(augment={"rephrased": 0.5}), "augment.rephrased: expected data.wordings"),
        (minimal(optimizer={"decay": 20}), "optimizer.decay: expected at most run.steps = 10"),
        (minimal(optimizer={"betas": [0.9]}), "optimizer.betas: expected two numbers"),
        (minimal(run={"steps": 10, "average": 1.0}), "run.average: expected a decay in 0..1"),
        (minimal(network={"backbone": {"camera_slots": 2}}), "start and network exclude"),
        (minimal(start=None), "expected start (a checkpoint) or network (from scratch)"),
        (minimal(auxiliary={"column": "truth", "things": [1]}), "auxiliary.things: expected names"),
    ],
)  # fmt: skip
def test_wrong_settings_are_refused_by_name(values, complaint):
    with pytest.raises(TrainError, match=re.escape(complaint)):
        settings_from(values)


def test_a_file_that_is_no_yaml_is_refused(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("run: [")
    with pytest.raises(TrainError, match="cannot be read as YAML"):
        read_settings(path)
    with pytest.raises(TrainError, match="expected a file of settings, there is none"):
        read_settings(tmp_path / "none.yaml")


def test_changes_replace_what_the_file_says(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(minimal()))
    settings = read_settings(path, {"run.steps": 20, "augment.shift": 3})
    assert (settings.run.steps, settings.augment.shift) == (20, 3)


def test_a_file_takes_from_another_what_it_does_not_say(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("{like: mini, run: {steps: 7}, augment: null, auxiliary: {things: {lid: [a]}}}")
    own, mini = read_settings(path), read_settings(find_settings("mini"))
    assert own.run == replace(mini.run, steps=7)
    assert own.data == mini.data
    assert own.augment == AugmentSettings()
    assert mini.auxiliary is not None
    assert own.auxiliary == replace(mini.auxiliary, things={**mini.auxiliary.things, "lid": ["a"]})


def test_a_file_beside_goes_before_a_shipped_one(tmp_path):
    (tmp_path / "mini").write_text(yaml.safe_dump(minimal(run={"steps": 3, "batch": 5})))
    (tmp_path / "own.yaml").write_text("{like: mini, run: {steps: 7}}")
    own = read_settings(tmp_path / "own.yaml")
    assert (own.run.steps, own.run.batch, own.start) == (7, 5, "checkpoint")


@pytest.mark.parametrize(
    ("other", "complaint"),
    [
        ("own.yaml", "own.yaml: like: own.yaml is like this file itself"),
        ("between.yaml", "between.yaml: like: own.yaml is like this file itself"),
        ("gigantic", "gigantic: expected a file of settings, or one of"),
        ("gone.yaml", "gone.yaml: expected a file of settings, there is none"),
        ("3", "like: expected the name of a file of settings, got 3"),
    ],
)
def test_a_file_like_nothing_is_refused(tmp_path, other, complaint):
    (tmp_path / "between.yaml").write_text("like: own.yaml")
    (tmp_path / "own.yaml").write_text(f"{{like: {other}, run: {{steps: 7}}}}")
    with pytest.raises(TrainError, match=re.escape(complaint)):
        read_settings(tmp_path / "own.yaml")


def test_wordings_stand_beside_the_settings_or_are_shipped(tmp_path):
    shipped = find_beside("press_pick.yaml", tmp_path)
    assert shipped.parent == find_settings("mini").parent
    (tmp_path / "press_pick.yaml").touch()
    assert find_beside("press_pick.yaml", tmp_path) == tmp_path / "press_pick.yaml"
    assert find_beside("unknown.yaml", tmp_path) == tmp_path / "unknown.yaml"


@pytest.mark.parametrize("section", ["network", "augment", "auxiliary", "progress", "optimizer"])
def test_null_takes_a_section_away(section):
    assert settings_from(minimal(**{section: None})) == settings_from(minimal())


def test_what_is_shipped_can_be_read():
    names = sorted(path.stem for path in find_settings("mini").parent.glob("*.yaml"))
    for name in set(names) - {"press_pick", "press_pick_transport"}:
        assert read_settings(find_settings(name)).run.steps > 0
    with pytest.raises(TrainError, match="expected a file of settings, or one of"):
        find_settings("huge")


def test_settings_survive_as_json(tmp_path):
    settings = tiny(tmp_path)
    assert settings_from(settings.as_json()) == settings
