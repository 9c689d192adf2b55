"""Every detector finds its fault, in that episode only, in both versions."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from dataset_support import SOUND_LENGTHS, write
from spoiling import (
    change_column,
    change_info,
    change_video,
    copied,
    drop_rows,
    video_of,
)

from labvla_data.checks.detectors import DETECTORS
from labvla_data.checks.scan import DEFAULTS, scan
from labvla_data.dataset import ACTION, IMAGES, STATE, DatasetError, open_dataset
from labvla_data.json_files import write_lines
from labvla_data.parallel import silent

SIDE = IMAGES + "side"
BAD = 2


def stub(folder):
    change_video(folder, BAD, SIDE, lambda frames: frames[:2])


def undecodable(folder):
    path = video_of(folder, BAD, SIDE)
    path.write_bytes(path.read_bytes()[:200])


def missing(folder):
    video_of(folder, BAD, SIDE).unlink()


def late_start(folder):
    """A video whose first packet does not have time zero, as some muxers write it."""
    import av

    path = video_of(folder, BAD, SIDE)
    shifted = path.with_suffix(".tmp.mp4")
    with av.open(str(path)) as source, av.open(str(shifted), "w") as target:
        template = source.streams.video[0]
        stream = target.add_stream_from_template(template)
        for packet in source.demux(template):
            if packet.dts is not None:
                packet.dts -= 1024
                packet.stream = stream
                target.mux(packet)
    shifted.replace(path)


def short_table(folder):
    drop_rows(folder, BAD, 5)


def short_video(folder):
    change_video(folder, BAD, SIDE, lambda frames: frames[:-5])


def not_a_number(folder):
    def spoil(values):
        values[7, 3] = np.nan
        return values

    change_column(folder, BAD, ACTION, spoil)


def jump(folder):
    def spoil(values):
        values[20:, 1] += 0.4
        return values

    change_column(folder, BAD, ACTION, spoil)


def far_action(folder):
    change_column(folder, BAD, ACTION, lambda v: v + np.array([0, 0, 0.9, 0, 0, 0, 0, 0]))


def motionless(folder):
    for name in (STATE, ACTION):
        change_column(folder, BAD, name, lambda v: np.repeat(v[:1], len(v), axis=0))


def black(folder):
    change_video(
        folder, BAD, SIDE, lambda fs: [f * 0 if k in (9, 10) else f for k, f in enumerate(fs)]
    )


def frozen(folder):
    change_video(folder, BAD, SIDE, lambda frames: frames[:10] + [frames[10]] * (len(frames) - 10))


def noisy(frames, level=6.0):
    """As a sensor sees them; a frozen one shows its last picture again, noise and all."""
    random = np.random.default_rng(3)
    return [
        np.clip(f + random.normal(0.0, level, f.shape), 0, 255).astype(np.uint8) for f in frames
    ]


def frozen_and_noisy(folder):
    def freeze(frames):
        seen = noisy(frames)
        return seen[:10] + [seen[10]] * 25 + seen[35:]

    change_video(folder, BAD, SIDE, freeze)


def blurred(folder):
    change_video(folder, BAD, SIDE, lambda frames: [cv2.GaussianBlur(f, (0, 0), 8) for f in frames])


def backwards(folder):
    def spoil(values):
        values[30, 2] = values[10, 2]
        return values

    change_column(folder, BAD, "stamps", spoil)


def slow_clock(folder):
    change_column(folder, BAD, "stamps", lambda v: v[:1] + (v - v[:1]) * 12 // 10)


def uneven(folder):
    def spoil(values):
        values[25] += 0.01
        return values

    change_column(folder, BAD, "timestamp", spoil)


def inverted(folder):
    def spoil(values):
        values[:, 7] = 0.04 - values[:, 7]
        return values

    change_column(folder, BAD, ACTION, spoil)


FAULTS = [
    (stub, "video_stubs", "too_few_packets"),
    (undecodable, "video_decode", "decode_error"),
    (missing, "missing_videos", "missing_mp4"),
    (late_start, "video_concat_hazards", "outlier_first_dts"),
    (short_table, "lengths", "row_count"),
    (short_video, "lengths", "video_too_short"),
    (not_a_number, "not_finite", "not_finite"),
    (jump, "action_jumps", "action_jump"),
    (far_action, "action_jumps", "action_far_from_state"),
    (motionless, "idle_ends", "never_moves"),
    (black, "bad_pictures", "black_frames"),
    (frozen, "bad_pictures", "frozen_frames"),
    (frozen_and_noisy, "bad_pictures", "frozen_frames"),
    (blurred, "bad_pictures", "blurred"),
    (backwards, "clock_faults", "stamp_backwards"),
    (slow_clock, "clock_faults", "wrong_rate"),
    (uneven, "clock_faults", "timestamp_step"),
    (inverted, "gripper_polarity", "gripper_inverted"),
]


def reasons(report, episode=BAD):
    return {
        (entry["detector"], entry["kind"])
        for entry in report["per_episode_reasons"].get(str(episode), [])
    }


def test_nothing_is_wrong_with_a_sound_dataset(sound):
    report = scan(sound, workers=1)
    assert report["bad_episodes"] == []
    assert report["per_episode_warnings"] == {}
    assert not report["dataset_incompatible"]
    assert report["total_episodes"] == len(SOUND_LENGTHS)
    assert set(report["detector_summaries"]) == set(DETECTORS)


@pytest.mark.parametrize(("spoil", "detector", "kind"), FAULTS, ids=[f[0].__name__ for f in FAULTS])
def test_a_fault(sound, tmp_path, spoil, detector, kind):
    folder = copied(sound, tmp_path / "demo")
    spoil(folder)
    report = scan(folder, [detector], workers=1)
    assert report["bad_episodes"] == [BAD]
    assert (detector, kind) in reasons(report)
    summary = report["detector_summaries"][detector]
    assert summary["n_bad"] == 1
    assert summary["n_reasons"] == len(report["per_episode_reasons"][str(BAD)])


def plain(frames):
    """A camera that has nothing but a mat in view while the arm moves."""
    return [np.full_like(f, 140) for f in frames]


def test_a_camera_that_looks_at_something_plain_is_not_frozen(sound, tmp_path):
    folder = copied(sound, tmp_path / "demo")
    change_video(folder, BAD, SIDE, lambda frames: noisy(plain(frames)))
    report = scan(folder, ["bad_pictures"], workers=1)
    assert (report["bad_episodes"], report["per_episode_warnings"]) == ([], {})


@pytest.fixture
def drawn(sound, tmp_path):
    """A dataset that says that nobody recorded it."""
    folder = copied(sound, tmp_path / "demo")
    lines = [{"episode_index": n, "source": "simulation"} for n in range(len(SOUND_LENGTHS))]
    write_lines(folder / "meta/labvla_episodes.jsonl", lines)
    return folder


def test_a_drawn_picture_of_something_plain_is_a_warning(drawn):
    change_video(drawn, BAD, SIDE, plain)
    report = scan(drawn, ["bad_pictures"], workers=1)
    assert report["bad_episodes"] == []
    (warning,) = report["per_episode_warnings"][str(BAD)]
    assert (warning["kind"], warning["detail"]["camera"]) == ("still_frames", SIDE)


def test_a_drawn_camera_that_stops_in_the_midst_of_a_motion_is_frozen(drawn):
    frozen(drawn)
    report = scan(drawn, ["bad_pictures"], workers=1)
    assert reasons(report) == {("bad_pictures", "frozen_frames")}


def test_a_spoilt_episode_does_not_stop_the_others(sound, tmp_path):
    """All detectors at once, on an episode of which hardly anything can be read."""
    folder = copied(sound, tmp_path / "demo")
    undecodable(folder)
    entry = open_dataset(folder).episode(BAD).entry
    entry.table.write_bytes(b"PAR1 and then nothing")
    report = scan(folder, workers=2)
    assert report["bad_episodes"] == [BAD]
    assert ("lengths", "unreadable") in reasons(report)


def test_idle_ends_are_a_warning(sound, tmp_path):
    folder = copied(sound, tmp_path / "demo")

    def wait(values):
        values[:35] = values[35]
        return values

    change_column(folder, BAD, STATE, wait)
    report = scan(folder, ["idle_ends"], workers=1)
    assert report["bad_episodes"] == []
    (warning,) = report["per_episode_warnings"][str(BAD)]
    assert warning["kind"] == "idle_head"
    assert warning["detail"]["frames"] in (36, 37)


def test_statistics_without_an_episode(tmp_path, sound):
    folder = copied(sound, tmp_path / "demo")
    if not (folder / "meta/episodes_stats.jsonl").exists():
        pytest.skip("version 3.0 keeps them with the episode")
    path = folder / "meta/episodes_stats.jsonl"
    line = json.loads(path.read_text().splitlines()[0])
    path.write_text(path.read_text() + json.dumps({**line, "episode_index": 99}) + "\n")
    report = scan(folder, ["stats_orphans"], workers=1)
    assert report["orphan_stats_episodes"] == [99]
    assert report["bad_episodes"] == []
    assert report["detector_summaries"]["stats_orphans"]["n_warnings"] == 1


def test_wider_than_the_model(sound):
    narrow = replace(DEFAULTS, widest_action=7)
    report = scan(sound, ["action_dim_cap"], narrow, workers=1)
    assert report["dataset_incompatible"]
    assert "action has 8 columns, expected at most 7" in report["dataset_incompatible_reasons"][0]


def test_a_gripper_in_another_unit(sound, tmp_path):
    folder = copied(sound, tmp_path / "demo")
    for name in (STATE, ACTION):
        change_column(folder, BAD, name, lambda v: v * np.array([1] * 7 + [25]))
    report = scan(folder, ["gripper_polarity"], workers=1)
    assert "expected at most 0.2 for width" in report["dataset_incompatible_reasons"][0]


def test_a_bad_video_that_belongs_to_no_episode(sound, tmp_path):
    folder = copied(sound, tmp_path / "demo")
    stray = video_of(folder, 0, SIDE).with_name("take2.mp4")
    stray.write_bytes(b"no video")
    report = scan(folder, ["video_decode"], workers=1)
    extra = report["detector_summaries"]["video_decode"]["extra"]
    assert extra == {"unattributed_bad_videos": [str(stray)]}


def test_video_folders_without_the_prefix_are_missing_and_not_black(tmp_path):
    """The public training code finds no video there, and trains on black, masked pictures."""
    folder = write(tmp_path / "demo", "v2.1", lengths=SOUND_LENGTHS)
    for videos in folder.glob(f"videos/*/{SIDE}"):
        videos.rename(videos.with_name("side"))
    report = scan(folder, ["missing_videos"], workers=1)
    assert report["bad_episodes"] == list(range(len(SOUND_LENGTHS)))
    assert reasons(report) == {("missing_videos", "missing_mp4")}


def test_several_processes_find_the_same(sound, tmp_path):
    folder = copied(sound, tmp_path / "demo")
    for spoil in (jump, black):
        spoil(folder)
    assert scan(folder, workers=3) == scan(folder, workers=1)


def test_an_interrupted_scan_goes_on(sound, tmp_path):
    journal = tmp_path / "report.json.partial"

    def interrupt(done, _whole):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(sound, ["not_finite"], workers=1, journal=journal, progress=interrupt)
    assert journal.exists()
    seen = []
    report = scan(
        sound,
        ["not_finite"],
        workers=1,
        journal=journal,
        progress=lambda done, _: seen.append(done),
    )
    assert seen[0] >= 3  # episodes that were not looked at again
    assert report["total_episodes"] == len(SOUND_LENGTHS)
    assert not journal.exists()


@pytest.mark.parametrize("text", ["", "{", '{"signature": "another"}\n{"episode": 0}\n'])
def test_a_journal_that_is_of_no_use(sound, tmp_path, text):
    journal = tmp_path / "journal"
    journal.write_text(text)
    assert scan(sound, ["not_finite"], workers=1, journal=journal)["bad_episodes"] == []


def test_an_unknown_detector(sound):
    with pytest.raises(DatasetError, match="expected detectors of video_stubs"):
        scan(sound, ["ghosts"], progress=silent)


def test_a_dataset_without_frames_per_second(sound, tmp_path):
    folder = copied(sound, tmp_path / "demo")
    change_info(folder, fps=None)
    with pytest.raises(DatasetError, match="missing: fps"):
        scan(folder)
