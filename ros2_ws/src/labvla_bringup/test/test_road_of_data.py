"""From a running cell to datasets: what the policy saw is what is trained on and done again."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from listening import Cell
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader

from labvla_bringup.graph import Graph
from labvla_data.bag.reader import BagReader, mcap_of
from labvla_data.dataset import IMAGES, VERSIONS, open_dataset
from labvla_data.dataset.features import STAMPS
from labvla_data.recording import sidecar
from labvla_msgs.srv import DiscardEpisode, JudgeScene, StartEpisode
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.streams import cdr

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

LOSSES = ("lost_transport", "lost_source", "lost_writer")
CODEC = 30.0  # dB, peak signal to noise
PATIENCE = 300.0  # s
SEED = 3
SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def stack(bring_up):
    """In lock-step: how fast the machine is changes nothing."""
    return bring_up("franka", "--pacing", "lockstep")


@pytest.fixture(scope="module")
def bag(stack):
    """Somebody records how the start button is pressed, right after the bench was put up."""
    with Graph() as graph:
        cell = Cell(graph)
        cell.until(lambda: bool(cell.states and cell.statuses), PATIENCE)

        def accepted(kind, name, **request):
            return graph.call(kind, name, kind.Request(**request)).accepted

        # Right after a stack came up, not all streams have been found yet.
        cell.until(lambda: accepted(StartEpisode, "labvla/start_episode"), PATIENCE)
        cell.until(lambda: accepted(DiscardEpisode, "labvla/discard_episode"), PATIENCE)
        cell.put_up("press", SEED)
        assert accepted(StartEpisode, "labvla/start_episode", operator_name="ada")
        cell.until(lambda: cell.say("press the start button").accepted, PATIENCE)
        judge = partial(graph.call, JudgeScene, "sim/judge", JudgeScene.Request())
        cell.until(lambda: judge().success, PATIENCE)
    code, finished = stack.json("record", "finish", "--outcome", "success")
    assert code == 0
    return Path(finished["path"]).parent


@pytest.fixture(scope="module", params=[("png", "v2.1"), ("video", "v3.0")], ids="-".join)
def exported(request, stack, bag, tmp_path_factory):
    images, version = request.param
    target = tmp_path_factory.mktemp("exported") / "demo"
    words = ("--images", images, "--version", version, "--workers", "1")
    code, report = stack.json("export", str(bag), str(target), *words)
    assert code == 0, report
    return images, open_dataset(target), report


def pictures_of(bag):
    """All pictures in a bag, by camera and stamp."""
    cell = load_cell(bag / sidecar.load(bag).cell_file, any_name=True)
    cameras = {f"/{camera.topic}": camera.name for camera in cell.policy_cameras}
    found = {}
    with BagReader(bag) as reader:
        for message in reader.messages(cameras.keys()):
            image = cdr.read_image(message.data)
            pixels = np.frombuffer(bytes(image.data), np.uint8)
            pixels = pixels.reshape(image.height, image.width, 3)
            found[cameras[message.topic], cdr.read_stamp(message.data)] = pixels
    return found


def test_other_libraries_read_the_bag(bag):
    with BagReader(bag) as reader:
        ours = {topic.name: topic.messages for topic in reader.topics if topic.messages}
    assert {"/labvla/observation_used", "/labvla/action_chunk", "/sim/scene"} <= ours.keys()
    with AnyReader([bag]) as reader:
        theirs = {c.topic: c.msgcount for c in reader.connections if c.msgcount}
        used = next(c for c in reader.connections if c.topic == "/labvla/observation_used")
        _, _, data = next(reader.messages([used]))
        assert len(reader.deserialize(data, used.msgtype).joint_positions) == 7
    assert theirs == ours
    with mcap_of(bag).open("rb") as file:
        counts = dict.fromkeys(ours, 0)
        for _, channel, _ in make_reader(file, validate_crcs=True).iter_messages():
            counts[channel.topic] += 1
    assert counts == ours


def test_nothing_is_lost_in_lock_step(bag):
    described = sidecar.load(bag)
    lost = {
        topic: {kind: entry[kind] for kind in LOSSES if entry[kind]}
        for topic, entry in described.ledger.items()
    }
    assert not any(lost.values()), lost
    assert described.clock == "simulated"
    stamps = sorted(stamp for _, stamp in pictures_of(bag))
    assert described.duration == pytest.approx((stamps[-1] - stamps[0]) / SECOND, abs=0.7)
    assert (described.system_end - described.system_begin) / SECOND > 1.0


def test_what_the_policy_saw_is_made_again_from_the_bag(exported, bag):
    """Where the bag has the samples; those before its beginning belong to nobody's ledger."""
    _, _, report = exported
    seen, recorded = report["observations"], {stamp for _, stamp in pictures_of(bag)}
    assert seen["equal"] > 5
    assert seen["different"] == 0
    for difference in report["exported"][0]["differences"]:
        stamps = [int(part.split()[1]) for part in difference["detail"].split(", ")]
        assert not recorded & set(stamps)
        assert min(stamps) < min(recorded)


def test_pictures_of_the_dataset_are_those_of_the_bag(exported, bag):
    images, dataset, _ = exported
    recorded, compared = pictures_of(bag), 0
    for episode in dataset:
        column = dataset.columns[STAMPS]
        for place, name in enumerate(column.names[1:], 1):
            shown = episode.pictures(IMAGES + name)
            for row, stamp in enumerate(episode.column(STAMPS)[:, place].tolist()):
                picture, wanted = shown[row], recorded[name, stamp]
                compared += 1
                if images == "png":
                    assert np.array_equal(picture, wanted)
                else:
                    error = np.mean((picture.astype(float) - wanted) ** 2)
                    assert 10 * np.log10(255**2 / max(error, 1e-9)) > CODEC
    assert compared == 3 * dataset.frames > 90


def test_the_motion_is_reproduced_from_bag_and_datasets(stack, exported, bag):
    _, dataset, _ = exported
    assert dataset.version in VERSIONS
    code, replayed = stack.json("replay", str(bag))
    assert (code, replayed["beyond"]) == (0, [])
    assert replayed["success"] == {"recorded": "success", "replayed": True, "missing": ""}
    code, replayed = stack.json("replay", str(dataset.folder))
    assert (code, replayed["beyond"]) == (0, [])
    assert replayed["success"]["replayed"]
