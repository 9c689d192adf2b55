"""What is asked of the policy, and every reason why something is not."""

import numpy as np
import pytest
from serving_support import WIDTH, FunctionPolicy, request

from labvla_policy.openpi.codec import encode
from labvla_policy.openpi.names import CAMERAS
from labvla_policy.serving.reasons import RequestRefused
from labvla_policy.serving.requests import (
    ReaderSettings,
    RequestReader,
    deadline_of,
    opened,
    request_id_of,
)
from labvla_policy.serving.server import completed

PICTURE = np.arange(24 * 32 * 3, dtype=np.uint8).reshape(24, 32, 3)


def reader(policy=None, **settings):
    policy = policy or FunctionPolicy()
    return RequestReader(completed(policy), policy.prompt_tokens, ReaderSettings(**settings))


def read(asked, **settings):
    return reader(**settings).read(opened(encode(asked)))


def refusal(action):
    with pytest.raises(RequestRefused) as refused:
        action()
    return refused.value.reason, refused.value.detail


def test_a_complete_request():
    asked = request()
    got = read(asked)
    for name, image in zip(CAMERAS, got.images, strict=True):
        np.testing.assert_array_equal(image, asked[name])
    np.testing.assert_array_equal(got.state, asked["state"])
    assert got.prompt == "pick up the beaker"
    assert got.prefix is None
    assert got.seed is None


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_float_pictures_are_clipped_scaled_and_cut(kind):
    shades = np.array([-0.2, 0.0, 0.4999, 0.999, 1.0, 1.3], kind)
    picture = np.tile(shades[:, None, None], (4, 24, 3))
    image = read(request(camera_1_rgb=picture)).images[0]
    expected = (np.clip(picture, 0, 1) * 255).astype(np.uint8)
    np.testing.assert_array_equal(image, expected)
    assert image[3, 0, 0] == 254  # cut, where rounding would say 255


def test_channels_first_are_turned():
    image = read(request(camera_2_rgb=PICTURE.transpose(2, 0, 1))).images[1]
    np.testing.assert_array_equal(image, PICTURE)
    assert image.flags.c_contiguous


def test_a_camera_that_is_masked_on_purpose():
    asked = request()
    asked["camera_3_rgb"] = None
    assert [image is None for image in read(asked).images] == [False, False, True]


def test_a_state_of_plain_numbers_and_of_any_number_type():
    for state in ([0, 1, 2, 3, 4, 5, 6, 0.5], np.arange(8, dtype=np.float32), np.arange(8)):
        np.testing.assert_array_equal(read(request(state=state)).state, np.asarray(state))


@pytest.mark.parametrize(
    ("changes", "prompt"),
    [
        ({"prompt": None, "language_instruction": "stir"}, "stir"),
        ({"prompt": "", "language_instruction": "stir"}, "stir"),
        ({"prompt": "stir", "language_instruction": "stir"}, "stir"),
        ({"prompt": "  stir it\n"}, "  stir it\n"),  # the policy was trained on raw texts
    ],
)
def test_where_the_instruction_comes_from(changes, prompt):
    assert read(request(**changes)).prompt == prompt


def test_the_servers_own_instruction_stands_in():
    assert read(request(prompt=None), default_prompt="stir").prompt == "stir"


@pytest.mark.parametrize(
    ("changes", "reason", "detail"),
    [
        ({"camera_2_rgb": None}, "camera_missing", "got no camera_2_rgb"),
        (dict.fromkeys(CAMERAS), "camera_missing", "camera_1_rgb, camera_2_rgb, camera_3_rgb"),
        ({"observation/image": PICTURE}, "camera_unknown", "got observation/image"),
        ({"camera_1_rgb": PICTURE[..., 0]}, "image_shape", "the shape (24, 32)"),
        ({"camera_1_rgb": np.zeros((24, 32, 5), np.uint8)}, "image_shape", "(24, 32, 5)"),
        ({"camera_1_rgb": np.zeros((24, 32, 4), np.uint8)}, "image_shape", "(24, 32, 4)"),
        ({"camera_1_rgb": PICTURE[None]}, "image_shape", "(1, 24, 32, 3)"),
        ({"camera_1_rgb": PICTURE[:4]}, "image_shape", "4 x 32"),
        ({"camera_1_rgb": np.zeros((16, 9000, 3), np.uint8)}, "image_shape", "16 x 9000"),
        ({"camera_1_rgb": np.zeros((0, 32, 3), np.uint8)}, "image_shape", "0 x 32"),
        ({"camera_1_rgb": "a picture"}, "image_shape", "expected an array"),
        ({"camera_1_rgb": PICTURE.astype(int)}, "image_values", "got int64"),
        ({"camera_1_rgb": PICTURE.astype(bool)}, "image_values", "got bool"),
        ({"camera_1_rgb": PICTURE.astype(float)}, "image_values", "0 to 255"),
        ({"camera_1_rgb": np.full((24, 32, 3), np.nan)}, "image_values", "nan"),
        ({"state": None}, "state_missing", "8 numbers"),
        ({"state": np.zeros(7)}, "state_shape", "expected 8 numbers, got the shape (7,)"),
        ({"state": np.zeros((1, 8))}, "state_shape", "(1, 8)"),
        ({"state": 3.0}, "state_shape", "()"),
        ({"state": [[1], [2, 3]]}, "state_values", "ragged"),
        ({"state": ["1"] * 8}, "state_values", "expected numbers"),
        ({"state": [1, 2, 3, 4, 5, 6, 7, float("nan")]}, "state_values", "NaN"),
        ({"state": np.full(8, np.inf)}, "state_values", "infinity"),
        ({"prompt": None}, "prompt_missing", "got none"),
        ({"prompt": "  "}, "prompt_missing", "got none"),
        ({"prompt": 7}, "prompt_unreadable", "expected a text, got 7"),
        ({"prompt": b"stir"}, "prompt_unreadable", "expected a text"),
        ({"language_instruction": "stir"}, "prompt_conflict", "'stir'"),
        ({"prompt": "x" * 10_000_000}, "prompt_too_long", "got 10000000"),
        ({"prompt": "word " * 49}, "prompt_too_long", "reads 48 tokens, the instruction has 49"),
        ({"seed": 1}, "extension", "does not have it"),
        ({"prefix": np.zeros((2, 8))}, "extension", "does not have it"),
    ],
)
def test_refusals_are_named(changes, reason, detail):
    got = refusal(lambda: read(request(**changes)))
    assert got[0] == reason
    assert detail in got[1]
    assert len(got[1]) < 400


def test_missing_cameras_are_masked_only_where_somebody_said_so():
    asked = request(camera_2_rgb=None)
    masked = [image is None for image in read(asked, mask_missing_cameras=True).images]
    assert masked == [False, True, False]
    none = request(**dict.fromkeys(CAMERAS))
    assert refusal(lambda: read(none, mask_missing_cameras=True))[0] == "camera_missing"


def test_long_prompts_pass_where_somebody_said_so_and_each_is_told_once(caplog):
    lenient = reader(truncate_prompts=True)
    for prompt in ("word " * 49, "word " * 49, "word " * 48, "other " * 51):
        assert lenient.read(opened(encode(request(prompt=prompt)))).prompt == prompt
    told = [record.getMessage() for record in caplog.records]
    assert [text.split(" tokens")[0] for text in told] == ["the last 1", "the last 3"]
    assert all(text.endswith("are cut off") for text in told)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("text", "request_type"),
        (encode([1, 2]), "request_type"),
        (b"\xc1", "request_malformed"),
        (b"", "request_malformed"),
    ],
)
def test_what_is_no_request(message, reason):
    assert refusal(lambda: opened(message))[0] == reason


@pytest.mark.parametrize("value", [0, -1, float("nan"), "soon", True, 1e10, [1]])
def test_deadlines_that_are_none(value):
    assert refusal(lambda: deadline_of({"deadline_ms": value}))[0] == "extension"


def test_deadlines():
    assert deadline_of({}) is None
    assert deadline_of({"deadline_ms": 250}) == 0.25


@pytest.mark.parametrize("value", [1.5, True, "x" * 65, [1]])
def test_request_ids_that_are_none(value):
    assert refusal(lambda: request_id_of({"request_id": value}))[0] == "extension"


@pytest.mark.parametrize("value", [None, 0, 7, "a-7"])
def test_request_ids(value):
    assert request_id_of({"request_id": value}) == value


def read_extended(**changes):
    policy = FunctionPolicy(extensions=("prefix", "seed"), prefix_rows=10)
    return reader(policy).read(opened(encode(request(**changes))))


def test_a_committed_prefix_and_how_much_of_it_is_frozen():
    rows = np.arange(3.0 * WIDTH).reshape(3, WIDTH)
    got = read_extended(prefix=rows, prefix_frozen=2, seed=5)
    np.testing.assert_array_equal(got.prefix.rows, rows)
    assert got.prefix.frozen == 2
    assert got.seed == 5
    assert read_extended(prefix=rows).prefix.frozen == 3


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"prefix": np.zeros((11, WIDTH))}, "1 to 10 rows, got 11"),
        ({"prefix": np.zeros((0, WIDTH))}, "1 to 10 rows, got 0"),
        ({"prefix": np.zeros((3, 7))}, "(3, 7)"),
        ({"prefix": np.zeros(8)}, "(8,)"),
        ({"prefix": np.full((3, WIDTH), np.nan)}, "NaN"),
        ({"prefix": np.zeros((3, WIDTH)), "prefix_frozen": 4}, "expected 0 to 3, got 4"),
        ({"prefix": np.zeros((3, WIDTH)), "prefix_frozen": 1.5}, "expected 0 to 3, got 1.5"),
        ({"seed": -1}, "from 0, got -1"),
        ({"seed": 0.5}, "from 0, got 0.5"),
    ],
)
def test_extensions_that_hold_nonsense(changes, detail):
    reason, text = refusal(lambda: read_extended(**changes))
    assert reason == "extension"
    assert detail in text
