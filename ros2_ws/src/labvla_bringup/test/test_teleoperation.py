"""A hand at the running stack: demonstrations become datasets, a policy is interrupted and goes on.

The hand is a script; everything else is what a person would use. In lock-step, so that a slow
machine changes nothing.
"""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import yaml
from geometry_msgs.msg import TwistStamped
from listening import ANSWERED, MOVING, STANDING, Cell
from scripted_hand import TASK, press

from labvla_bringup.graph import Graph
from labvla_data.bag.decode import decoder
from labvla_data.bag.reader import BagReader
from labvla_data.dataset.reader import open_dataset
from labvla_data.export.commands import stamp_of
from labvla_data.recording import sidecar
from labvla_data.teleoperation.devices.event_file import EV_REL, EV_SYN, EVENT
from labvla_msgs.srv import JudgeScene

VERSIONS = ("v2.1", "v3.0")
LOSSES = ("lost_transport", "lost_source", "lost_writer")
PATIENCE = 300.0  # s


@pytest.fixture(scope="module")
def labvla(bring_up):
    return bring_up("franka", "--pacing", "lockstep")


@pytest.fixture
def cell(labvla):
    with Graph() as graph:
        cell = Cell(graph)
        cell.until(lambda: bool(cell.states and cell.statuses), PATIENCE)
        yield cell
        cell.say("")
        graph.trigger("labvla/hand_back")
        cell.until(lambda: cell.speed() < STANDING, PATIENCE)


def verdict(cell):
    return cell.graph.call(JudgeScene, "sim/judge", JudgeScene.Request(), ANSWERED)


def demonstrate(labvla, cell, seed):
    """Record one episode by hand; return what the command says."""
    cell.put_up(TASK, seed)
    script = press(cell, seed, labvla.folder / f"press_{seed}.yaml")
    code, told = labvla.json(
        "teleop", "script", str(script),
        "--instruction", "Press the start button", "--operator", "a script",
    )  # fmt: skip
    assert code == 0, told
    assert verdict(cell).success, verdict(cell).reason
    return told


def check_datasets(labvla, bags, episodes):
    """Export to both versions; nothing may be wrong with either."""
    for version in VERSIONS:
        dataset = labvla.folder / f"{bags[0].name}-{version}"
        code, report = labvla.json("export", *map(str, bags), str(dataset), "--version", version)
        assert (code, report["episodes"], report["refused"]) == (0, episodes, [])
        found = {}
        for command in ("scan", "validate", "stats"):
            code, found[command] = labvla.json("data", command, str(dataset))
            assert code == 0, (version, command, found[command])
        assert found["scan"]["bad_episodes"] == []
        (labvla.folder / "scan.json").write_text(json.dumps(found["scan"]))
        code, cleaned = labvla.json(
            "data", "clean", str(dataset), f"{dataset}-clean",
            "--report", str(labvla.folder / "scan.json"),
        )  # fmt: skip
        assert (code, cleaned["episodes"], cleaned["dropped"]) == (0, episodes, [])
        for episode in {0, episodes - 1}:
            check_replay(labvla, dataset, episode)


def check_demonstrations(labvla, cell, seeds):
    bags = []
    for seed in seeds:
        (episode,) = demonstrate(labvla, cell, seed)["episodes"]
        assert episode["outcome"] == "success"
        bags.append(Path(episode["path"]).parent)
        described = sidecar.load(bags[-1])
        assert described.wish.operator == "a script"
        assert described.ledger["/labvla/action_chunk"]["written"] > 100
        for topic, entry in described.ledger.items():
            assert {kind: entry[kind] for kind in LOSSES if entry[kind]} == {}, topic
        assert [one.owner for one in described.interventions] == ["teleop"]
        check_replay(labvla, bags[-1])
    check_datasets(labvla, bags, len(bags))


def check_replay(labvla, recording, episode=0):
    """The same commands move the simulated arm as they did, to the same success."""
    words = ("--episode", str(episode)) if episode else ()
    code, report = labvla.json("replay", str(recording), *words)
    assert (code, report["beyond"], report["refused"]) == (0, [], {}), report
    assert report["success"] == {"recorded": "success", "replayed": True, "missing": ""}


@pytest.mark.timeout(600)
def test_demonstrations_become_clean_datasets(labvla, cell):
    check_demonstrations(labvla, cell, (3, 4))


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_twenty_demonstrations_become_clean_datasets(labvla, cell):
    check_demonstrations(labvla, cell, range(100, 120))


def steps(folder, *parts):
    file = folder / "steps.yaml"
    file.write_text(yaml.safe_dump({"steps": list(parts)}))
    return str(file)


UP = {"jog": [0, 0, 1, 0, 0, 0], "seconds": 1.0}


@pytest.mark.timeout(600)
def test_a_policy_is_interrupted_and_goes_on_from_where_the_hand_left_the_arm(labvla, cell):
    cell.put_up("pick", 3)
    code, begun = labvla.json("record", "start", "--instruction", "Lift the beaker")
    assert code == 0, begun
    cell.move()
    script = steps(labvla.folder, UP, {"wait": 0.4}, {"button": "hand back"})
    code, told = labvla.json("teleop", "script", script)
    assert (code, told["take_overs"]) == (0, 1), told
    cell.until(lambda: verdict(cell).success, PATIENCE)
    code, finished = labvla.json("record", "finish", "--outcome", "success")
    assert code == 0, finished

    bag = Path(finished["path"]).parent
    events = [event for event in said(bag, "/labvla/events") if event["source"] == "teleop"]
    assert [event["reason"] for event in events] == ["teleop_took_over", "teleop_handed_back"]
    assert all("pick up the beaker" in event["detail"] for event in events)
    chunks = said(bag, "/labvla/action_chunk")
    movers = [chunk["policy"].partition(":")[0] for chunk in chunks]
    assert [mover for mover, _ in groupby(movers)] == ["expert", "teleop", "expert"]
    goes_on = chunks[len(movers) - movers[::-1].index("teleop")]
    assert stamp_of(goes_on["observation_stamp"]) >= stamp_of(events[1]["stamp"])

    (intervention,) = sidecar.load(bag).interventions
    assert intervention.begin < intervention.end
    check_flags(labvla, bag)


def said(bag, topic):
    """Return what a topic of a bag says."""
    with BagReader(bag) as reader:
        return [
            decoder(message.kind, reader.definition(message.kind))(message.data)
            for message in reader.messages({topic})
        ]


def check_flags(labvla, bag):
    """Every frame of the intervention, and no other, is flagged in both formats."""
    statuses = said(bag, "/labvla/status")
    told = np.array([stamp_of(status["stamp"]) for status in statuses])
    by_hand = np.array([status["motion_owner"] == "teleop" for status in statuses])
    for version in VERSIONS:
        dataset = labvla.folder / f"interrupted-{version}"
        code, report = labvla.json("export", str(bag), str(dataset), "--version", version)
        assert code == 0, report
        episode = open_dataset(dataset).episode(0)
        flags = episode.column("intervention").ravel().astype(bool)
        stamps = episode.column("stamps")[:, 0]
        expected = by_hand[np.maximum(np.searchsorted(told, stamps, side="right") - 1, 0)]
        assert np.array_equal(flags, expected)
        assert 20 < flags.sum() < len(flags) - 20
        assert np.count_nonzero(np.diff(flags.astype(int))) == 2  # one stretch, in the midst
        assert report["exported"][0]["interventions"] == flags.sum()


def test_a_hand_that_vanishes_leaves_the_arm_standing(labvla, cell):
    cell.put_up("pick", 3)
    script = steps(labvla.folder, {**UP, "seconds": 60, "jog": [0, 0.3, 0, 0, 0, 0]})
    hand = subprocess.Popen(
        [sys.executable, "-m", "labvla_bringup.cli", "teleop", "script", script],
        stdout=subprocess.DEVNULL,
    )
    try:
        cell.until(lambda: cell.speed() > MOVING / 2, PATIENCE)
    finally:
        hand.send_signal(signal.SIGKILL)
        hand.wait()
    cell.until(lambda: any(event.reason == "teleop_gone" for event in cell.events), PATIENCE)
    assert cell.speed() < STANDING
    assert "jog_silent" in [event.reason for event in cell.events]
    cell.until(lambda: cell.statuses[-1].motion_owner == "none", PATIENCE)


def test_a_device_that_is_unplugged_stops_the_arm_and_says_so(labvla, cell):
    cell.put_up("pick", 3)
    device = labvla.folder / "event0"
    os.mkfifo(device)
    cap = os.open(device, os.O_RDWR | os.O_NONBLOCK)
    push = EVENT.pack(0, 0, EV_REL, 1, -200) + EVENT.pack(0, 0, EV_SYN, 0, 0)

    def pushed_and_moving():
        with suppress(BlockingIOError):
            os.write(cap, push)
        return cell.speed() > MOVING / 2

    hand = subprocess.Popen(
        [sys.executable, "-m", "labvla_bringup.cli", "teleop", "spacemouse", "--input", device],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        cell.until(pushed_and_moving, PATIENCE)
        os.close(cap)
        _, complaint = hand.communicate(timeout=PATIENCE)
    finally:
        hand.kill()
        hand.wait()
    assert hand.returncode == 1
    assert "unplugged: the arm comes to a stop" in complaint
    cell.until(lambda: cell.speed() < STANDING, PATIENCE)


def test_a_bad_jog_moves_nothing_and_is_named(labvla, cell):
    cell.put_up("pick", 3)
    publisher = cell.graph.node.create_publisher(TwistStamped, "labvla/jog", 10)
    cell.until(lambda: publisher.get_subscription_count() > 0, PATIENCE)
    jog = TwistStamped()
    jog.header.frame_id, jog.twist.linear.x = "tool", 120.0  # mm/s, where m/s are expected
    publisher.publish(jog)
    cell.until(lambda: any(event.reason == "jog_speed" for event in cell.events), PATIENCE)
    assert cell.statuses[-1].motion_owner != "teleop"
    assert cell.speed() < STANDING


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("keyboard",), 3, "terminal"),
        (("gamepad", "--input", "/dev/input/event9999"), 3, "No such file"),
        (("spacemouse", "--input", "/nowhere"), 3, "No such file"),
        (("script",), 2, "FILE"),
        (("keyboard", "steps.yaml"), 2, "FILE"),
        (("script", "nowhere.yaml"), 2, "No such file"),
        (("keyboard", "--arm", "third"), 2, "--arm: expected one of arm"),
        (("keyboard", "--linear", "3"), 2, "linear speed"),
        (("keyboard", "--cell", "nowhere"), 2, "nowhere"),
    ],
)
def test_what_is_wrong_is_said_before_anything_moves(labvla, words, code, complaint):
    done = labvla("teleop", *words)
    assert done.returncode == code
    assert complaint in done.stderr
