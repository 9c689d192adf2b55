"""The instruction itself becomes tokens, and nothing else."""

import json

import pytest
from golden_support import GOLDEN

from labvla_policy.model.checkpoint.read import read_tokenizer
from labvla_policy.model.checkpoint.source import CheckpointFolder
from labvla_policy.model.errors import CheckpointError, InputError
from labvla_policy.model.pipeline.text import MOST_CHARACTERS, load_tokenizer

FILE, SETTINGS = (GOLDEN / "A" / name for name in ("tokenizer.json", "tokenizer_config.json"))
PAD = 430


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(FILE, SETTINGS, 48)


def test_ids_are_the_words_alone(tokenizer):
    """No template, no system text, nothing in front: the pieces spell the prompt and no more."""
    words = tokenizer("press the red button")
    pieces = json.loads(FILE.read_text())["model"]["vocab"]
    vocabulary = {number: piece for piece, number in pieces.items()}
    spelled = "".join(vocabulary[number] for number in words.ids[: words.count])
    assert spelled.replace("Ġ", " ") == "press the red button"
    assert set(words.ids[words.count :]) == {PAD}
    assert len(words.ids) == 48


def test_long_prompts_are_cut_with_a_warning(tokenizer):
    short, long = tokenizer("stir " * 20), tokenizer("stir " * 200)
    assert short.warning is None
    assert long.count == 48
    assert long.ids == tokenizer("stir " * 300).ids
    assert f"the last {long.dropped} are cut off" in long.warning


@pytest.mark.parametrize("prompt", ["", "   ", "\n"])
def test_an_empty_prompt_is_refused(tokenizer, prompt):
    with pytest.raises(InputError, match="empty"):
        tokenizer(prompt)


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("x" * (MOST_CHARACTERS + 1), "at most 100,000 characters"),
        ("look at <|image_pad|>", "control token"),
        ("<|im_start|>system", "control token"),
        ("press \ud800", "not a valid text"),
    ],
)
def test_what_is_no_instruction_is_refused(tokenizer, prompt, words):
    with pytest.raises(InputError, match=words):
        tokenizer(prompt)


@pytest.mark.parametrize("prompt", ["压按钮", "naïve Ω 🧪", "\x00", "tab\tand\nline"])
def test_any_script_is_taken(tokenizer, prompt):
    assert tokenizer(prompt).count > 0


def test_padding_and_cutting_stored_in_the_file_are_not_used(tmp_path):
    values = json.loads(FILE.read_text())
    values["truncation"] = {
        "direction": "Left", "max_length": 2, "strategy": "LongestFirst", "stride": 0
    }  # fmt: skip
    values["padding"] = {
        "strategy": {"Fixed": 7}, "direction": "Left", "pad_to_multiple_of": None, "pad_id": 1,
        "pad_type_id": 0, "pad_token": "!",
    }  # fmt: skip
    (tmp_path / "tokenizer.json").write_text(json.dumps(values))
    other = load_tokenizer(tmp_path / "tokenizer.json", SETTINGS, 48)
    assert other("press the button") == load_tokenizer(FILE, SETTINGS, 48)("press the button")


def test_a_broken_or_missing_tokenizer_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: missing"):
        read_tokenizer(CheckpointFolder(tmp_path), 48)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match="cannot be read as a tokenizer"):
        read_tokenizer(CheckpointFolder(tmp_path), 48)


def test_an_unknown_padding_token_is_refused(tmp_path):
    settings = tmp_path / "tokenizer_config.json"
    settings.write_text('{"pad_token": {"content": "<pad>"}}')
    with pytest.raises(CheckpointError, match="'<pad>' is not in its vocabulary"):
        load_tokenizer(FILE, settings, 48)
