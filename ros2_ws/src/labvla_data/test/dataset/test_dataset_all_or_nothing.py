"""A dataset stands under its name whole, or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from dataset_support import features, frame, write

from labvla_data.dataset import DatasetError, DatasetWriter, NoRoomError, open_dataset
from labvla_data.dataset.writer import Workplace


def test_an_error_leaves_nothing(tmp_path):
    folder = tmp_path / "demo"
    with pytest.raises(RuntimeError, match="the robot fell over"):
        write_until_it_fails(folder)
    assert list(tmp_path.iterdir()) == []


def write_until_it_fails(folder):
    with DatasetWriter(folder, features(()), 30) as writer:
        with writer.episode("press the button") as episode:
            episode.add(frame(0, 0, ()))
        raise RuntimeError("the robot fell over")


def test_an_error_inside_an_episode_costs_that_episode_only(tmp_path):
    with DatasetWriter(tmp_path / "demo", features(()), 30) as writer:
        for number in range(3):
            try:
                with writer.episode(f"task {number}") as episode:
                    episode.add(frame(number, 0, ()))
                    if number == 1:
                        raise KeyError
            except KeyError:
                pass
    dataset = open_dataset(tmp_path / "demo")
    assert [episode.tasks for episode in dataset] == [["task 0"], ["task 2"]]
    assert [entry.index for entry in dataset.entries] == [0, 1]


def test_what_stands_there_is_not_touched(tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "thesis.txt").write_text("do not lose me")
    with pytest.raises(DatasetError, match="exists already"):
        DatasetWriter(tmp_path / "demo", features(()), 30)
    assert (tmp_path / "demo" / "thesis.txt").read_text() == "do not lose me"


def test_two_writers_of_one_dataset(tmp_path):
    place = Workplace(tmp_path / "demo")
    with pytest.raises(DatasetError, match="another process"):
        Workplace(tmp_path / "demo")
    place.remove()
    Workplace(tmp_path / "demo").remove()


def test_a_dataset_without_an_episode(tmp_path):
    with (
        pytest.raises(DatasetError, match="at least one episode"),
        DatasetWriter(tmp_path / "demo", features(()), 30),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_episode_without_a_frame(tmp_path):
    with (
        pytest.raises(DatasetError, match="without a frame"),
        DatasetWriter(tmp_path / "demo", features(()), 30) as writer,
        writer.episode("nothing"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("images", "version", "limit"), [("video", "v2.1", 5_000), ("png", "v3.0", 50_000)]
)
def test_a_full_disk(tmp_path, images, version, limit):
    """A limit on the size of files is a full disk that needs no privileges."""
    program = f"""
import resource, signal, sys
from pathlib import Path
from dataset_support import write
from labvla_data.dataset import NoRoomError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    write(Path(sys.argv[1]), {version!r}, {images!r})
except NoRoomError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "demo")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
        check=False,
    )
    assert "no room left on the disk" in done.stdout, done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_a_disk_that_fills_up_at_any_moment(tmp_path, small_disk, version):
    disk = tmp_path / "disk"
    failures = 0
    for size in range(16, 1000, 36):
        with small_disk(disk, size):
            try:
                write(disk / "demo", version, lengths=(20, 10))
            except NoRoomError:
                failures += 1
                assert list(disk.iterdir()) == []
            else:
                assert list(disk.iterdir()) == [disk / "demo"]
                assert [len(episode) for episode in open_dataset(disk / "demo")] == [20, 10]
                break
    assert 3 <= failures < 27
