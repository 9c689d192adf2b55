"""A checkpoint is read whole and checked, or refused with what is wrong."""

import json
import struct
from pathlib import Path

import pytest
import torch
from checkpoint_support import copied, edited, reweighted
from golden_support import GOLDEN, assert_golden, golden_inputs, tensors
from safetensors.torch import load_file, save_file

from labvla_policy.model.checkpoint import source
from labvla_policy.model.checkpoint.read import describe, load_network, table_dtype
from labvla_policy.model.checkpoint.source import CheckpointFolder, find_checkpoint
from labvla_policy.model.config import ModelConfig
from labvla_policy.model.errors import CheckpointError, ConfigError, ModelError, Unavailable
from labvla_policy.model.inference import load_policy

EMBEDDING = "model.vlm.model.language_model.embed_tokens.weight"
HEAD = "model.vlm.lm_head.weight"
PROJECTION = "model.proj_vlm_to_dit.weight"
CPU = torch.device("cpu")


def loaded(folder, dtype=torch.float32):
    return load_network(describe(find_checkpoint(folder)), device=CPU, dtype=dtype)


def assert_golden_chunk(folder, variant="A", case="c0"):
    policy, _ = loaded(folder)
    with torch.inference_mode():
        chunk = policy.sample(
            golden_inputs(policy, variant, case), tensors(variant)[f"{case}.noise"]
        )
    assert_golden(chunk, tensors(variant)[f"{case}.chunk"])
    return policy


def assert_refused(folder, words, kind=CheckpointError):
    with pytest.raises(kind, match=words) as refusal:
        load_policy(folder)
    return str(refusal.value)


def without(weights, *names):
    return {name: weight for name, weight in weights.items() if name not in names}


# What is told by the weights


@pytest.mark.parametrize(
    ("variant", "name", "wide"),
    [("A", "A", False), ("B", "B", True), ("A_ki", "A with KI parts", False)],
)
def test_variant_is_told_by_the_weights(tmp_path, variant, name, wide):
    folder = edited(copied(variant, tmp_path) / "config.json", dit_cross_attention_dim=None)
    files = describe(find_checkpoint(folder))
    assert files.variant.name == name
    assert files.config.dit_cross_attention_dim == (64 if wide else None)
    assert_golden_chunk(folder, variant)


def test_weights_win_over_a_wrong_configuration(tmp_path):
    folder = edited(copied("A", tmp_path) / "config.json", dit_cross_attention_dim=64)
    assert any("the weights are of variant A" in note for note in loaded(folder)[1])
    assert_golden_chunk(folder)


def test_interleaving_is_told_by_the_configuration_alone(tmp_path):
    folder = copied("A", tmp_path)
    edited(folder / "config.json", dit_interleave_self_attention=False)
    policy, _ = loaded(folder)
    with torch.inference_mode():
        chunk = policy.sample(golden_inputs(policy, "A", "c0"), tensors("A")["c0.noise"])
    assert_golden(chunk, tensors("A")["c0.opt_no_interleave.chunk"])


def test_isolation_is_told_by_the_configuration_and_needs_its_weights(tmp_path):
    unused = edited(
        copied("A_ki", tmp_path) / "config.json",
        knowledge_isolation=False, use_fast_tokenizer=False,
    )  # fmt: skip
    policy, notes = loaded(unused)
    assert any("knowledge_isolation is off" in note for note in notes)
    assert not hasattr(policy, "ki_head")
    lacking = edited(
        copied("A", tmp_path) / "config.json", knowledge_isolation=True, use_fast_tokenizer=True
    )
    assert_refused(lacking, r"missing \(4\):\n.*ki_head.classifier.weight")


# Lenient about two things


def test_weights_without_prefix(tmp_path):
    folder = reweighted(
        copied("A", tmp_path),
        lambda weights: {name.removeprefix("model."): w for name, w in weights.items()},
    )
    assert_golden_chunk(folder)


@pytest.mark.parametrize("lost", [EMBEDDING, HEAD])
def test_either_of_two_tied_matrices_may_be_missing(tmp_path, lost):
    policy = assert_golden_chunk(reweighted(copied("A", tmp_path), lambda w: without(w, lost)))
    assert policy.vlm.lm_head.weight is policy.vlm.token_embedding.weight


def test_both_tied_matrices_missing_is_refused(tmp_path):
    folder = reweighted(copied("A", tmp_path), lambda weights: without(weights, EMBEDDING, HEAD))
    assert_refused(folder, r"missing \(2\)")


def test_two_different_matrices_are_both_kept(tmp_path):
    folder = copied("A", tmp_path)
    reweighted(folder, lambda weights: weights.update({HEAD: weights[HEAD] + 1}))
    policy = assert_golden_chunk(folder)  # what goes in is the embedding's
    torch.testing.assert_close(policy.vlm.lm_head.weight, policy.vlm.token_embedding.weight + 1)


def test_position_tables_may_be_missing(tmp_path):
    assert_golden_chunk(
        reweighted(
            copied("A", tmp_path),
            lambda w: {name: x for name, x in w.items() if not name.endswith(".pe")},
        )
    )


# Strict about everything else


def test_missing_and_unexpected_weights_are_listed(tmp_path):
    def change(weights):
        weights["model.proj_vlm.weight"] = weights.pop(PROJECTION)
        del weights["model.dit_action_head.transformer_blocks.2.ff.net.2.bias"]

    text = assert_refused(reweighted(copied("A", tmp_path), change), "not those of its config.json")
    assert "dit_action_head.transformer_blocks.2.ff.net.2.bias" in text
    assert "unexpected (" in text
    assert "proj_vlm.weight" in text


def test_wrong_shapes_are_listed(tmp_path):
    folder = edited(copied("A", tmp_path) / "config.json", max_state_dim=30)
    text = assert_refused(folder, r"of another shape \(1\)")
    assert "state_proj.weight: expected 32 x 30, got 32 x 32" in text


@pytest.mark.parametrize(
    ("part", "sizes"),
    [
        ("text_config", {"num_attention_heads": 0}),
        ("text_config", {"hidden_size": -64}),
        ("text_config", {"num_hidden_layers": 10**9}),
        ("text_config", {"hidden_size": "wide"}),
        ("text_config", {"rope_scaling": {}}),
        ("vision_config", {"num_heads": 3}),
        ("vision_config", {"depth": 10**9}),
        ("vision_config", {"hidden_act": "magic"}),
        ("vision_config", {"patch_size": 14}),
        ("vision_config", {"num_position_embeddings": 2300}),
        ("text_config", {"num_key_value_heads": 3}),
    ],
)
def test_sizes_that_make_no_network_are_refused(tmp_path, part, sizes):
    folder = copied("A", tmp_path)
    vlm = json.loads((folder / "vlm_config.json").read_text())
    edited(folder / "vlm_config.json", **{part: vlm[part] | sizes})
    with pytest.raises(ModelError):
        load_policy(folder)


def test_an_expert_of_another_depth_is_refused(tmp_path):
    folder = edited(copied("A", tmp_path) / "config.json", dit_num_layers=6)
    assert "transformer_blocks.4.attn1.to_k.bias" in assert_refused(folder, r"missing \(28\)")


def test_weights_of_another_model_are_refused(tmp_path):
    folder = reweighted(
        copied("A", tmp_path),
        lambda w: {k.removeprefix("model.vlm."): x for k, x in w.items() if ".vlm." in k},
    )
    assert_refused(folder, "expected weights of a LabVLA policy")


def test_the_first_training_stage_alone_is_refused(tmp_path):
    folder = reweighted(
        copied("A", tmp_path), lambda w: {k: x for k, x in w.items() if ".vlm." in k}
    )
    assert_refused(folder, "no action expert")
    staged = copied("B", tmp_path)
    edited(staged / "config.json", training_phase="vlm_pretrain", use_fast_tokenizer=True)
    assert_refused(staged, "expected posttrain", ConfigError)


def test_another_position_table_is_refused(tmp_path):
    name = "model.dit_action_head.transformer_blocks.1.pos_embed.pe"
    folder = reweighted(copied("A", tmp_path), lambda w: w.update({name: w[name] + 0.1}))
    assert_refused(folder, "another architecture")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_refused(tmp_path, value):
    def change(weights):
        weights[PROJECTION][3, 4] = value

    folder = reweighted(copied("A", tmp_path), change)
    assert_refused(folder, "proj_vlm_to_dit.weight holds NaN or infinity")


@pytest.mark.parametrize("dtype", [torch.int8, torch.float64, torch.float8_e4m3fn])
def test_weights_of_another_type_are_refused(tmp_path, dtype):
    folder = reweighted(
        copied("A", tmp_path), lambda w: w.update({PROJECTION: w[PROJECTION].to(dtype)})
    )
    assert_refused(folder, "expected weights as BF16, F16, F32, got .* for model.proj_vlm_to_dit")


# Broken files


def weights_file(folder):
    return folder / "model.safetensors"


@pytest.mark.parametrize("left", [0, 4, 5000, 2_000_000])
def test_a_truncated_file_is_refused(tmp_path, left):
    folder = copied("A", tmp_path)
    content = weights_file(folder).read_bytes()[:left]
    weights_file(folder).write_bytes(content)
    assert_refused(folder, "cut short|expected a safetensors file")


def test_a_file_with_a_tail_is_refused(tmp_path):
    folder = copied("A", tmp_path)
    with weights_file(folder).open("ab") as file:
        file.write(b"more")
    assert_refused(folder, "with a tail")


@pytest.mark.parametrize(
    "content",
    [
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 10\n",
        b"PK\x03\x04" + bytes(100),  # what a pickle of PyTorch begins with
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 20) + b'{"a": {"dtype": 1 }}',
    ],
)
def test_something_else_is_refused(tmp_path, content):
    folder = copied("A", tmp_path)
    weights_file(folder).write_bytes(content)
    assert_refused(folder, "expected a safetensors file")


def test_a_header_that_lies_about_sizes_is_refused(tmp_path):
    table = {"model.vlm.x": {"dtype": "F32", "shape": [4], "data_offsets": [0, 8]}}
    text = json.dumps(table).encode()
    folder = copied("A", tmp_path)
    weights_file(folder).write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
    assert_refused(folder, "does not fit its shape")


def test_a_header_whose_tensors_overlap_is_refused(tmp_path):
    folder = copied("A", tmp_path)
    content = weights_file(folder).read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    table = json.loads(content[8 : 8 + length])
    first, second = ("model.action_in_proj.bias", "model.action_out_proj.bias")
    table[first]["data_offsets"] = table[second]["data_offsets"]
    text = json.dumps(table).encode()
    weights_file(folder).write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    assert_refused(folder, "damaged")


# Folders


@pytest.mark.parametrize("name", ["norm_stats.json", "labvla_schema.json"])
def test_missing_statistics_or_schema_name_the_command_that_makes_them(tmp_path, name):
    folder = copied("A", tmp_path)
    (folder / name).unlink()
    assert_refused(folder, f"{name}: missing; .*`labvla data stats")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_other_missing_files_are_named(tmp_path, name):
    folder = copied("A", tmp_path)
    (folder / name).unlink()
    assert_refused(folder, f"{name}: missing")


@pytest.mark.parametrize("name", ["config.json", "norm_stats.json", "vlm_config.json"])
@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b""])
def test_broken_json_is_refused(tmp_path, name, content):
    folder = copied("A", tmp_path)
    (folder / name).write_bytes(content)
    assert_refused(folder, f"{name}: expected")


def test_files_of_a_training_run(tmp_path):
    """Weights and configuration lie in `pretrained_model`, statistics and schema outside."""
    folder = copied("A", tmp_path)
    inner = folder / "pretrained_model"
    inner.mkdir()
    for name in ("model.safetensors", "config.json"):
        (folder / name).rename(inner / name)
    (folder / "training_state").mkdir()
    (folder / "training_state" / "ema_state.pt").write_bytes(b"a pickle that nobody opens")
    for given in (folder, inner):
        policy = load_policy(given)
        assert policy.vectors.action_width == 8
    assert any("averaged weights" in note for note in load_policy(folder).notes)


def test_an_unfinished_checkpoint_is_refused(tmp_path):
    folder = copied("A", tmp_path)
    (folder / ".INCOMPLETE").touch()
    assert_refused(folder, "still being written")


def test_several_data_sets(tmp_path):
    folder = copied("A", tmp_path)
    for one, many in (("labvla_schema", "labvla_schemas"), ("norm_stats", "norm_stats")):
        values = json.loads((folder / f"{one}.json").read_text())
        (folder / f"{one}.json").unlink()
        several = {"_schema": "multi_repo_v1", "left": values, "right": values}
        (folder / f"{many}.json").write_text(json.dumps(several))
    assert_refused(folder, "holds 2 data sets, left, right: name one")
    assert load_policy(folder, dataset="right").schema.robot_type == "franka"


def test_weights_in_several_files(tmp_path):
    folder = copied("A", tmp_path)
    weights = load_file(weights_file(folder))
    names = sorted(weights)
    parts = {"one.safetensors": names[::2], "two.safetensors": names[1::2]}
    for file, part in parts.items():
        save_file({name: weights[name].clone() for name in part}, folder / file)
    weights_file(folder).unlink()
    index = {"weight_map": {name: file for file, part in parts.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert_golden_chunk(folder)
    index["weight_map"][names[0]] = "../elsewhere.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert_refused(folder, "files beside it")


def test_small_files_default_to_the_public_model(tmp_path):
    folder = copied("A", tmp_path)
    (folder / "preprocessor_config.json").unlink()
    (folder / "vlm_config.json").unlink()
    files = describe(find_checkpoint(folder))
    assert files.vlm["text_config"]["hidden_size"] == 2560
    assert sum("taken as in the public model" in note for note in files.notes) == 2
    assert "expected 4096 x 1024, got 80 x 32" in assert_refused(folder, "of another shape")


def test_unknown_keys_are_left_aside_with_a_note(tmp_path):
    folder = edited(copied("A", tmp_path) / "config.json", brand_new=1, n_action_steps=99)
    notes = describe(find_checkpoint(folder)).notes
    assert "config.json: unknown and left aside: brand_new, special_token_ids" in notes
    assert any("n_action_steps is cut to chunk_size = 10" in note for note in notes)


def test_a_tokenizer_that_does_not_fit_is_refused(tmp_path):
    folder = copied("A", tmp_path)
    values = json.loads((folder / "tokenizer.json").read_text())
    for number in range(200):
        values["model"]["vocab"][f"word{number}"] = 444 + number
    (folder / "tokenizer.json").write_text(json.dumps(values))
    assert_refused(folder, "do not belong together")


@pytest.mark.parametrize("name", ["nowhere", "two/many/parts", "/lab/policy", "../x"])
def test_neither_folder_nor_hub_id(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(source, "_download", lambda model: pytest.fail("nothing to download"))
    with pytest.raises(CheckpointError, match="no such folder"):
        find_checkpoint(name)


@pytest.fixture
def along(tmp_path, monkeypatch):
    """Two checkpoints come along, and something that is none; the command runs elsewhere."""
    for name in ("small", "smaller"):
        (tmp_path / "along" / name).mkdir(parents=True)
        (tmp_path / "along" / name / "config.json").touch()
    (tmp_path / "along" / "__pycache__").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(source, "BUNDLED", tmp_path / "along")
    return tmp_path / "along"


def test_a_checkpoint_that_comes_along_goes_by_its_name(along):
    assert find_checkpoint("small") == CheckpointFolder(along / "small")
    assert source.bundled() == ("small", "smaller")


@pytest.mark.parametrize("kind", [str, Path])
def test_a_folder_of_that_name_comes_first(along, kind):
    Path("small").mkdir()
    assert find_checkpoint(kind("small")) == CheckpointFolder(Path("small"))


def test_a_file_of_that_name_does_not(along):
    Path("small").touch()
    assert find_checkpoint("small") == CheckpointFolder(along / "small")


@pytest.mark.parametrize("name", ["tiny", "__pycache__", "small.old"])
def test_an_unknown_name_is_told_which_ones_come_along(along, name):
    with pytest.raises(CheckpointError, match=r"none that comes along \(small, smaller\)"):
        find_checkpoint(name)


def test_where_none_comes_along_names_are_told_so(along, monkeypatch):
    monkeypatch.setattr(source, "BUNDLED", along / "absent")
    with pytest.raises(CheckpointError, match=r"none that comes along \(there is none\)"):
        find_checkpoint("small")


def test_a_file_is_no_folder():
    with pytest.raises(CheckpointError, match="got a file"):
        find_checkpoint(GOLDEN / "A" / "config.json")


def test_a_hub_id_is_downloaded_without_pickles(monkeypatch, tmp_path):
    asked = {}

    def snapshot(model, allow_patterns):
        asked.update(model=model, patterns=allow_patterns)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    assert find_checkpoint("lab/policy") == CheckpointFolder(tmp_path)
    assert asked["model"] == "lab/policy"
    assert not any("pt" in pattern.split(".")[-1] for pattern in asked["patterns"])
    assert "*.safetensors" in asked["patterns"]


def test_a_hub_that_cannot_be_reached(monkeypatch):
    def snapshot(model, allow_patterns):
        raise ConnectionError("no route to host")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    with pytest.raises(Unavailable, match=r"cannot be reached .*no route to host"):
        find_checkpoint("lab/policy")


# Types and devices


@pytest.mark.parametrize(
    ("trained", "computed", "table"),
    [
        ("bfloat16", torch.float32, torch.bfloat16),
        ("bfloat16", torch.bfloat16, torch.bfloat16),
        ("float32", torch.bfloat16, torch.bfloat16),
        ("float32", torch.float32, torch.float32),
    ],
)
def test_tables_follow_the_precision_of_training(trained, computed, table):
    assert table_dtype(ModelConfig(dtype=trained), computed) == table


def test_the_classifier_of_action_tokens_stays_in_fp32():
    policy, _ = loaded(GOLDEN / "A_ki", torch.bfloat16)
    assert policy.ki_head.classifier.weight.dtype == torch.float32
    others = {
        parameter.dtype
        for name, parameter in policy.named_parameters()
        if name != "ki_head.classifier.weight"
    }
    assert others == {torch.bfloat16}


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"dtype": "int4"}, ConfigError, "dtype: expected one of"),
        ({"device": "warp"}, ConfigError, "device: expected cpu"),
        ({"device": "meta"}, ConfigError, "device: expected cpu"),
        ({"attention": "magic"}, ConfigError, "attention: expected one of"),
    ],
)
def test_wrong_options_are_refused(options, kind, words):
    with pytest.raises(kind, match=words):
        load_policy(GOLDEN / "A", **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_missing_device_is_named():
    with pytest.raises(Unavailable, match="no CUDA device"):
        load_policy(GOLDEN / "A", device="cuda")


def test_flash_attention_falls_back_with_a_note():
    policy = load_policy(GOLDEN / "A", attention="flash_attention_2")
    assert any("sdpa computes the same instead" in note for note in policy.notes)
