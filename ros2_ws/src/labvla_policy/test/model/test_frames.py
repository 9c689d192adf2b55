"""Frames are checked on their way in; what is no camera's frame is refused by name."""

import numpy as np
import pytest
import torch
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from labvla_policy.model.errors import ConfigError, InputError
from labvla_policy.model.pipeline.frames import as_frame, slot_pixels
from labvla_policy.model.pipeline.pixels import (
    PatchPlan,
    PlainPlan,
    enlarged_size,
    patch_plan,
    resize_with_pad,
)

CPU = torch.device("cpu")


def picture(height=6, width=5):
    return np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)


@pytest.mark.parametrize("image", [picture(), picture().transpose(2, 0, 1)])
def test_colours_first_or_last(image):
    torch.testing.assert_close(as_frame(image), torch.from_numpy(picture().transpose(2, 0, 1)))


def test_frames_may_be_read_only_and_flipped():
    image = picture()[::-1]
    image.setflags(write=False)
    assert as_frame(image)[0, 0, 0] == picture()[-1, 0, 0]


def test_floats_are_cut_off_not_rounded():
    image = np.full((4, 4, 3), 0.9999, dtype=np.float32)  # 254.97
    image[0, 0] = (1.02, -0.02, 0.5)
    frame = as_frame(image)
    assert frame[:, 1, 1].tolist() == [254, 254, 254]
    assert frame[:, 0, 0].tolist() == [255, 0, 127]


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((6, 5, 5), np.uint8), "6 x 5 x 5"),
        (np.zeros((6, 5, 4), np.uint8), "6 x 5 x 4"),
        (np.zeros((6, 5), np.uint8), "6 x 5"),
        (np.zeros((1, 3, 6, 5), np.uint8), "1 x 3 x 6 x 5"),
        (np.zeros((0, 5, 3), np.uint8), "0 x 5"),
        (np.zeros((3, 10_000, 6_000), np.uint8), "10000 x 6000"),
        (np.zeros((6, 5, 3), np.int32), "int32"),
        (np.zeros((6, 5, 3), np.bool_), "bool"),
        (np.full((6, 5, 3), 128.0), "128 to 128"),
        (np.full((6, 5, 3), np.nan), "NaN"),
        ([[0, 0, 0]], "list"),
        ("front.png", "str"),
    ],
)
def test_what_is_no_frame_is_refused(image, words):
    with pytest.raises(InputError, match=words):
        as_frame(image, "image 1")


def test_an_empty_slot_shows_the_first_camera_and_is_masked():
    plan = PlainPlan((16, 16))
    pixels, mask = slot_pixels([None, picture()], 3, plan, CPU)
    assert mask.tolist() == [[False, True, False]]
    assert torch.equal(pixels[0, 0], pixels[0, 1])
    assert torch.equal(pixels[0, 2], pixels[0, 1])


def test_no_camera_is_refused():
    with pytest.raises(InputError, match="at least one camera"):
        slot_pixels([None, None], 3, PlainPlan(), CPU)


def test_too_many_cameras_are_refused():
    with pytest.raises(InputError, match="at most 3 camera slots, got 4"):
        slot_pixels([picture()] * 4, 3, PlainPlan(), CPU)


@pytest.mark.parametrize(
    ("height", "width", "content"),
    [
        (480, 640, (168, 224)),
        (101, 448, (50, 224)),  # 50.5 rows: half to even
        (301, 173, (224, 129)),
        (224, 224, (224, 224)),
        (1, 1000, (1, 224)),
    ],
)
def test_fitted_picture_is_centred_on_black(height, width, content):
    fitted = resize_with_pad(torch.ones(3, height, width), 224, 224)
    rows = fitted[0].amax(dim=1).nonzero().flatten()
    columns = fitted[0].amax(dim=0).nonzero().flatten()
    assert (len(rows), len(columns)) == content
    assert rows[0] == (224 - content[0]) // 2  # an odd rest goes to the bottom and to the right
    assert columns[0] == (224 - content[1]) // 2


@pytest.mark.parametrize(
    "size", [(224, 224), (256, 256), (320, 256), (100, 400), (97, 303), (8192, 4096), (40, 7000)]
)
def test_size_after_enlarging_is_that_of_the_public_processor(size):
    limits = (32, 65_536, 16_777_216)
    assert enlarged_size(*size, *limits) == smart_resize(*size, *limits)


def test_processor_settings_are_obeyed():
    plan = patch_plan((64, 64), {"size": {"shortest_edge": 1024}, "image_mean": [0.4] * 3})
    assert plan.size == (64, 64)
    assert plan.mean == 0.4
    assert patch_plan((224, 224), {}) == PatchPlan()


def test_a_mean_for_each_colour_is_refused():
    with pytest.raises(ConfigError, match="image_mean"):
        patch_plan((224, 224), {"image_mean": [0.4, 0.5, 0.6]})
