"""The page about a dataset shows what is in it, and needs nothing beside it."""

import base64
import json
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from dataset_support import CAMERAS, FPS, SOUND_LENGTHS, frame, signal_to_noise, write
from spoiling import change_column, copied, video_of

from labvla_data.checks.scan import scan
from labvla_data.dataset import ACTION, IMAGES, STATE, DatasetError, open_dataset
from labvla_data.export.command import REPORT
from labvla_data.json_files import write_json
from labvla_data.view.command import view
from labvla_data.view.gather import gather
from labvla_data.view.svg import Line, histogram, line_plot

FRAMES = sum(SOUND_LENGTHS)


class Page(HTMLParser):
    """Elements of a page in order, as (tag, attributes, text behind it)."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)
        self.close()
        assert self.open == [], "an element was never closed"

    def handle_starttag(self, tag, attrs):
        self.found.append([tag, dict(attrs), ""])
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append([tag, dict(attrs), ""])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.found:
            self.found[-1][2] += data

    def all(self, tag):
        return [element for element in self.found if element[0] == tag]

    @property
    def text(self):
        return " ".join(text.strip() for _, _, text in self.found if text.strip())


def made(folder, out, **options):
    done = view(folder, out, **options)
    text = out.read_text()
    assert done["bytes"] == len(text.encode())
    return Page(text), done


def test_every_episode_with_pictures_of_every_camera(sound, tmp_path):
    page, done = made(sound, tmp_path / "page.html", pictures=4)
    assert done["shown"] == list(range(len(SOUND_LENGTHS)))
    assert len(page.all("details")) == len(SOUND_LENGTHS)
    pictures = page.all("img")
    assert len(pictures) == 4 * len(CAMERAS) * len(SOUND_LENGTHS)
    _, attributes, _ = pictures[4 + 1]  # of the first episode's second camera the second
    number = int(attributes["alt"].removeprefix("frame "))
    assert number == round((SOUND_LENGTHS[0] - 1) / 3)
    data = base64.b64decode(attributes["src"].removeprefix("data:image/jpeg;base64,"))
    seen = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    wanted = frame(0, number)[IMAGES + "side"]
    height, width = seen.shape[:2]
    wanted = cv2.resize(wanted, (width, height), interpolation=cv2.INTER_AREA)
    assert signal_to_noise(seen, wanted) > 25


def test_a_page_is_one_small_file_without_scripts(sound, tmp_path):
    page, done = made(sound, tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == [tmp_path / "page.html"]
    assert page.all("script") == page.all("link") == []
    named = [a[key] for _, a, _ in page.found for key in ("src", "href") if key in a]
    assert all(name.startswith("data:image/jpeg;base64,") for name in named)
    assert "url(" not in "".join(text for _, _, text in page.all("style"))
    assert done["bytes"] < 150_000 * len(SOUND_LENGTHS)


def test_what_the_dataset_is_made_of(sound, tmp_path):
    page, _ = made(sound, tmp_path / "page.html")
    for text in (
        f"{FRAMES}, {FRAMES / FPS / 60:.1f} min at 30 Hz",
        "pick up beaker 0",
        "pick up beaker 1",
        f"{FRAMES - 20 * len(SOUND_LENGTHS)} frames",  # each is taken over after 20
        "fr3_joint1",
        "ada",
    ):
        assert text in page.text, text


def test_the_bars_of_a_histogram_stay_inside_of_it():
    for low, high in ((2.0, 3.0), (12.9, 12.9)):  # of a single episode there is one length
        drawn = histogram(np.array([0, 3, 1]), low, high, "lengths", width=220.0)
        bars = re.findall(r'class="bar" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', drawn)
        assert len(bars) == 2
        assert all(float(x) > 0 and float(x) + float(width) <= 220.0 for x, width in bars)


def test_histograms_count_every_frame(sound):
    gathered = gather(sound, 2, 1)
    assert gathered.lengths.counts.sum() == len(SOUND_LENGTHS)
    for feature in (STATE, ACTION):
        assert [h.name for h in gathered.columns[feature]][-1] == "arm_gripper"
        assert {h.counts.sum() for h in gathered.columns[feature]} == {FRAMES}


def test_motions_are_states_and_actions_and_grippers_stand_apart(sound):
    one = gather(sound, 2, 1).shown[1]
    wanted = [frame(one.number, k) for k in range(one.frames)]
    (arm,) = one.joints
    assert [motion.name for motion in arm] == [f"fr3_joint{n}" for n in range(1, 8)]
    assert [motion.name for motion in one.grippers] == ["arm_gripper"]
    for column, motion in enumerate([*arm, *one.grippers]):
        assert np.array_equal(motion.state, [row[STATE][column] for row in wanted])
        assert np.array_equal(motion.action, [row[ACTION][column] for row in wanted])
    assert one.interventions == [(20, one.frames)]


def test_of_many_episodes_some_are_shown_from_the_first_to_the_last(sound, tmp_path):
    page, done = made(sound, tmp_path / "page.html", episodes=3)
    assert done["shown"] == [0, 2, 5]
    assert "3 of 6 episodes are shown" in page.text


def test_columns_that_never_move_are_named(sound, tmp_path):
    folder = copied(sound, tmp_path / "demo")
    for number in range(len(SOUND_LENGTHS)):
        change_column(folder, number, ACTION, lambda v: v * np.array([1, 1, 0, 1, 1, 1, 1, 1]))
    page, _ = made(folder, tmp_path / "page.html")
    assert "still in action" in page.text
    gathered = gather(folder, 1, 1)
    assert (gathered.still[ACTION], gathered.still[STATE]) == (["fr3_joint3"], [])


def test_what_the_scan_found_is_marked(sound, tmp_path):
    folder = copied(sound, tmp_path / "demo")
    change_column(folder, 2, ACTION, lambda v: v + np.array([0, 0, 0.9, 0, 0, 0, 0, 0]))
    page, _ = made(folder, tmp_path / "page.html", report=scan(folder, ["action_jumps"], workers=1))
    assert "bad episodes: 2" in page.text
    assert "action_jumps: action_far_from_state column 2" in page.text
    page, _ = made(folder, tmp_path / "page.html")
    assert "not given: labvla data scan" in page.text


def test_recordings_that_the_export_refused_are_listed(sound, tmp_path):
    folder = copied(sound, tmp_path / "demo")
    refused = {"bag": "out/take-7", "reason": "gap", "detail": "17 rows from 1.60 s: camera_stale"}
    write_json(folder / REPORT, {"refused": [refused]})
    page, done = made(folder, tmp_path / "page.html")
    assert done["refused"] == [refused]
    for text in refused.values():
        assert text in page.text


@pytest.mark.parametrize("content", ["{", "{}", '{"refused": [{"bag": "x"}]}', "[]"])
def test_a_report_of_the_export_that_is_of_no_use(sound, tmp_path, content):
    folder = copied(sound, tmp_path / "demo")
    (folder / REPORT).write_text(content)
    with pytest.raises(DatasetError, match=r"labvla_export\.json"):
        view(folder, tmp_path / "page.html")


def test_a_spoilt_episode_does_not_hide_the_others(sound, tmp_path):
    folder = copied(sound, tmp_path / "demo")
    video = video_of(folder, 2, IMAGES + "side")
    video.write_bytes(video.read_bytes()[:200])
    change_column(folder, 4, STATE, lambda v: np.full_like(v, np.nan))
    page, done = made(folder, tmp_path / "page.html")
    assert done["shown"] == list(range(len(SOUND_LENGTHS)))
    assert len(page.all("img")) == 6 * (len(CAMERAS) * len(SOUND_LENGTHS) - 1)
    assert str(video) in page.text


def test_an_episode_of_which_nothing_can_be_read_is_named(sound, tmp_path):
    folder = copied(sound, tmp_path / "demo")
    open_dataset(folder).episode(3).entry.table.write_bytes(b"PAR1 and then nothing")
    page, done = made(folder, tmp_path / "page.html")
    assert done["unreadable"] == [3]
    assert "episode 3:" in page.text


def test_texts_of_the_dataset_are_no_html(tmp_path):
    folder = write(tmp_path / "demo", lengths=(12,), cameras=())
    evil = '<script>alert(1)</script> & "more"'
    for path in folder.glob("meta/labvla_episodes.jsonl"):
        line = {**json.loads(path.read_text()), "notes": evil}
        path.write_text(json.dumps(line) + "\n")
    page, _ = made(folder, tmp_path / "page.html")
    assert page.all("script") == []
    assert evil in page.text


def test_a_page_that_cannot_be_written(sound, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match=r"page\.html: cannot be written"):
        view(sound, tmp_path / "file" / "page.html")


# Lines


def points_of(plot):
    return [
        np.array([[float(n) for n in pair.split(",")] for pair in line.split()])
        for line in re.findall(r'points="([^"]*)"', plot)
    ]


def test_a_line_goes_through_its_values():
    values = np.sin(np.arange(100) / 10)
    (points,) = points_of(line_plot([Line("a", values)], 0.1, "rad"))
    x, y = points.T
    assert np.allclose(np.diff(x), (x[-1] - x[0]) / 99, atol=0.11)  # drawn to a tenth of a pixel
    scale = (y.max() - y.min()) / np.ptp(values)
    assert np.allclose((y.max() - y) / scale, values - values.min(), atol=0.002)


def test_a_long_line_loses_no_spike_and_not_its_ends():
    values = np.zeros(100_000)
    values[71_234] = 1.0
    (points,) = points_of(line_plot([Line("a", values)], 0.1, "rad"))
    assert len(points) < 1000
    high = points[:, 1].min()
    assert (points[:, 1] == high).sum() == 1
    assert points[points[:, 1] == high][0, 0] == pytest.approx(
        points[0, 0] + 0.71234 * (points[-1, 0] - points[0, 0]), abs=0.1
    )
    assert points[[0, -1], 0].tolist() == [46.0, 1080.0 - 14.0]  # the plot's ends


def test_numbers_that_are_none_are_left_out():
    values = np.array([0.0, np.nan, 1.0, np.inf])
    (points,) = points_of(line_plot([Line("a", values)], 0.1, "rad"))
    assert len(points) == 2
    assert "nan" not in line_plot([Line("a", values * np.nan)], 0.1, "rad")
