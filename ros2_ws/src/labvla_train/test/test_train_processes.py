"""Several processes learn what one learns; each has a share of every batch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from accelerate.commands.config.config_args import load_config_from_file
from golden_support import golden_policy
from safetensors.torch import load_file
from train_support import tiny

from labvla_train.errors import TrainError
from labvla_train.frames import DecodedFrames
from labvla_train.log import LOG
from labvla_train.processes import Processes
from labvla_train.run import batch_maker, read_data, train
from labvla_train.samples import Sample
from labvla_train.share import Share
from labvla_train.stages.flow import make_flow

TWO = Path(__file__).parents[4] / "config" / "training" / "cpu_two_processes.yaml"
LAUNCH = (sys.executable, "-m", "accelerate.commands.launch")
FILE = object()
# The order in which gradients are added up differs.
ROUNDING = {"rtol": 2e-4, "atol": 1e-5}


def settings_of(dataset):
    return tiny(dataset, data={"beyond_end": "held"}, run={"batch": 4, "steps": 4, "save_every": 2})


def losses(folder):
    lines = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return [line for line in lines if "total" in line]


def launched(settings, tmp_path, words, port):
    """Start two processes, as people do; a file of the settings stands where `words` says so."""
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(settings.as_json()))
    launch = [*LAUNCH, "--config_file", TWO, "--main_process_port", port, *words]
    ended = subprocess.run(
        [str(path) if word is FILE else str(word) for word in launch],
        check=False,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]


def by_command(settings, folder, tmp_path, until, port):
    words = ["-m", "labvla_bringup.cli", "train", "flow", FILE, "--out", folder, "--until", until]
    launched(settings, tmp_path, [*words, "--json"], port)


@pytest.mark.long
def test_two_processes_learn_what_one_learns_and_go_on(dataset, tmp_path):
    settings = settings_of(dataset)
    one = train("flow", settings, tmp_path / "one", beside=Path())
    by_command(settings, tmp_path / "two", tmp_path, 2, 29518)
    by_command(settings, tmp_path / "two", tmp_path, 4, 29519)
    expected, found = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert [line["step"] for line in found] == [1, 2, 3, 4]
    for name in ("total", "flow", "auxiliary", "gradient"):
        torch.testing.assert_close(
            torch.tensor([line[name] for line in found]),
            torch.tensor([line[name] for line in expected]),
            **ROUNDING,
        )
    apart = load_file(one.checkpoint / "model.safetensors")
    together = load_file(tmp_path / "two" / one.checkpoint.name / "model.safetensors")
    assert together.keys() == apart.keys()
    for name, weight in apart.items():
        torch.testing.assert_close(together[name], weight, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("path", sorted(TWO.parent.glob("*.yaml")), ids=lambda path: path.stem)
def test_accelerate_reads_the_shipped_configurations(path):
    config = load_config_from_file(str(path))
    assert config.mixed_precision == "no"
    assert config.num_processes > 1


def test_what_is_shared_out_in_blocks_is_there():
    config = load_config_from_file(str(TWO.with_name("fsdp.yaml")))
    wanted = set(config.fsdp_config["fsdp_transformer_layer_cls_to_wrap"].split(","))
    there = {type(module).__name__ for module in golden_policy("A").modules()}
    assert wanted <= there


def test_shares_are_the_whole():
    things = list(range(12))
    parts = [things[Share(place, 3).part(12)] for place in range(3)]
    assert [thing for part in parts for thing in part] == things
    assert things[Share().part(12)] == things


def test_a_batch_that_cannot_be_shared_out_is_refused(monkeypatch):
    alone = Processes(5)
    assert alone.first
    assert alone.share == Share()
    monkeypatch.setattr("labvla_train.processes.Share", lambda *_: Share(0, 2))
    with pytest.raises(TrainError, match="multiple of the 2 processes, got 5"):
        Processes(5)


def test_how_a_sample_varies_and_its_noise_do_not_depend_on_who_has_it(dataset):
    settings = settings_of(dataset)
    origin, wordings, demonstrations = read_data("flow", settings, Path())
    network = origin.build(demonstrations, wordings)
    frames = DecodedFrames(demonstrations.dataset, demonstrations.cameras)
    maker = batch_maker(settings, network, demonstrations, [frames], wordings)
    samples = [Sample(0, frame) for frame in range(4)]
    alone = maker.varied(samples, step=3)
    shared = [maker.varied(samples, step=3, share=Share(place, 2)) for place in (0, 1)]
    pixels = torch.cat([batch.training.inputs.pixels for batch in shared])
    assert torch.equal(pixels, alone.training.inputs.pixels)
    assert [len(batch.samples) for batch in shared] == [2, 2]
    learner = make_flow(settings, network, demonstrations)
    with torch.no_grad():
        whole, *parts = (
            learner.losses(batch, torch.Generator().manual_seed(1))["flow"]
            for batch in (alone, *shared)
        )
    torch.testing.assert_close(torch.stack(parts).mean(), whole)
