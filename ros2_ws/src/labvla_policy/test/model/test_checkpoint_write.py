"""What is written can be read, and a folder is either whole or not there."""

import errno
import json

import pytest
import torch
from golden_support import GOLDEN, assert_golden, golden_inputs, tensors
from mini_support import CONTROL, description_of, mini_policy, written
from safetensors import safe_open

from labvla_policy.model.checkpoint import stream, write
from labvla_policy.model.checkpoint.read import describe, load_network, read_schema, read_stats
from labvla_policy.model.checkpoint.source import find_checkpoint
from labvla_policy.model.checkpoint.stream import write_tensors
from labvla_policy.model.checkpoint.write import Description, tokenizer_files, write_checkpoint
from labvla_policy.model.errors import CheckpointError, Unavailable
from labvla_policy.model.inference import load_policy

CPU = torch.device("cpu")


def golden_description(folder, files):
    return Description(
        config=files.config,
        vlm=files.vlm,
        processor=files.processor,
        schema=read_schema(folder),
        stats=read_stats(folder),
        tokenizer_files=tokenizer_files(folder),
        other_config=files.raw_config,
    )


@pytest.mark.parametrize("variant", ["A", "B", "A_ki"])
def test_what_is_written_is_the_released_layout(tmp_path, variant):
    folder = find_checkpoint(GOLDEN / variant)
    files = describe(folder)
    policy, _ = load_network(files, device=CPU, dtype=torch.float32)
    write_checkpoint(tmp_path / "again", policy, golden_description(folder, files))
    with (
        safe_open(GOLDEN / variant / "model.safetensors", "pt") as old,
        safe_open(tmp_path / "again" / "model.safetensors", "pt") as new,
    ):
        added = set(new.keys()) - set(old.keys())
        # The golden file of B lacks one of two equal matrices; both are written.
        assert added <= {"model.vlm.model.language_model.embed_tokens.weight"}
        assert set(old.keys()) <= set(new.keys())
        for name in old.keys():  # noqa: SIM118 (not a dictionary)
            assert torch.equal(old.get_tensor(name), new.get_tensor(name)), name
        assert new.metadata() == {"format": "pt"}
    again = load_policy(tmp_path / "again").policy
    with torch.inference_mode():
        chunk = again.sample(golden_inputs(again, variant, "c0"), tensors(variant)["c0.noise"])
    assert_golden(chunk, tensors(variant)["c0.chunk"])


def test_description_survives(tmp_path):
    policy = load_policy(written(tmp_path / "mini"))
    assert policy.control == CONTROL
    config = json.loads((tmp_path / "mini" / "config.json").read_text())
    assert config["optimizer_lr"] == 1e-4  # training's own keys are kept
    assert config["dtype"] == "float32"
    stats = json.loads((GOLDEN / "A" / "norm_stats.json").read_text())
    assert json.loads((tmp_path / "mini" / "norm_stats.json").read_text()) == stats


def test_the_type_of_the_weights_is_written_down(tmp_path):
    policy = mini_policy().to(torch.bfloat16)
    config = json.loads((written(tmp_path / "mini", policy) / "config.json").read_text())
    assert config["dtype"] == "bfloat16"
    assert load_policy(tmp_path / "mini").policy.dtype == torch.bfloat16


def test_a_base_without_data_is_written_but_cannot_act(tmp_path):
    policy = mini_policy()
    description = description_of(policy)
    bare = Description(config=policy.config, vlm=description.vlm, processor={})
    write_checkpoint(tmp_path / "base", policy, bare)
    with pytest.raises(CheckpointError, match="labvla data stats"):
        load_policy(tmp_path / "base")


def test_an_existing_folder_is_not_touched(tmp_path):
    folder = written(tmp_path / "mini")
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match="exists already"):
        written(folder, mini_policy(seed=9))
    assert (folder / "model.safetensors").read_bytes() == before


def test_overwriting_replaces_the_whole_folder(tmp_path):
    folder = written(tmp_path / "mini")
    (folder / "stray.txt").touch()
    other = mini_policy(seed=9)
    written(folder, other, overwrite=True)
    assert not (folder / "stray.txt").exists()
    torch.testing.assert_close(load_policy(folder).policy.state_dict(), other.state_dict())
    assert [path.name for path in tmp_path.iterdir()] == ["mini"]


def breaking_after(pieces):
    """A disk that is full after some tensors."""

    def progress(_written, _total):
        nonlocal pieces
        pieces -= 1
        if pieces == 0:
            raise OSError(errno.ENOSPC, "No space left on device")

    return progress


def test_writing_that_breaks_off_leaves_nothing(tmp_path):
    with pytest.raises(CheckpointError, match="No space left"):
        written(tmp_path / "mini", progress=breaking_after(5))
    assert list(tmp_path.iterdir()) == []


def test_writing_that_breaks_off_leaves_the_old_one(tmp_path):
    folder = written(tmp_path / "mini")
    with pytest.raises(CheckpointError):
        written(folder, mini_policy(seed=9), overwrite=True, progress=breaking_after(5))
    torch.testing.assert_close(load_policy(folder).policy.state_dict(), mini_policy().state_dict())


def test_an_interrupted_draft_is_marked_and_replaced(tmp_path, monkeypatch):
    """What a killed process leaves cannot be taken for a checkpoint, and is no obstacle."""

    def killed(draft, folder):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(write.shutil, "rmtree", lambda *args, **options: None)
        patch.setattr(write, "_replace", killed)
        with pytest.raises(KeyboardInterrupt):
            written(tmp_path / "mini")
    assert not (tmp_path / "mini").exists()
    assert load_policy(written(tmp_path / "mini"))
    assert [path.name for path in tmp_path.iterdir()] == ["mini"]


def test_a_disk_without_room_is_named_before_writing(tmp_path, monkeypatch):
    class Usage:
        free = 10

    monkeypatch.setattr(stream.shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(Unavailable, match="the disk has 10 left"):
        written(tmp_path / "mini")
    assert list(tmp_path.iterdir()) == []


def test_progress_reaches_the_end(tmp_path):
    seen = []
    written(tmp_path / "mini", progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]


def test_types_are_mixed_and_every_tensor_is_aligned(tmp_path):
    made = {
        "odd": torch.arange(3, dtype=torch.bfloat16),
        "wide": torch.arange(5, dtype=torch.float32),
        "empty": torch.zeros(0, 4, dtype=torch.float16),
        "scalar": torch.tensor(2.5),
        "turned": torch.arange(6, dtype=torch.float32).reshape(2, 3).t(),
    }
    specs = {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in made.items()}
    write_tensors(tmp_path / "mixed.safetensors", specs, made.__getitem__)
    with safe_open(tmp_path / "mixed.safetensors", "pt") as file:
        for name, tensor in made.items():
            assert torch.equal(file.get_tensor(name), tensor), name


def test_a_tensor_that_is_not_as_announced_is_refused(tmp_path):
    with pytest.raises(ValueError, match="announced"):
        write_tensors(
            tmp_path / "wrong.safetensors",
            {"a": (torch.float32, (2,))},
            lambda name: torch.zeros(3),
        )
