"""The recorder node against a sender that knows what it has sent."""

import threading
import time
from pathlib import Path

import pytest
import rclpy
from bag_support import SECOND, picture, read_with_mcap, read_with_rosbags, state
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from recorded_cell import write_cell
from sensor_msgs.msg import Image, JointState

from labvla_data.nodes import taps
from labvla_data.nodes.recorder_node import RecorderNode
from labvla_data.recording import sidecar
from labvla_msgs.msg import ActionChunk, PolicyStatus, RecorderStatus, SimStep, SimStepDone
from labvla_msgs.srv import DiscardEpisode, FinishEpisode, StartEpisode
from labvla_policy.nodes import qos, run
from labvla_policy.nodes.stamps import to_ns, to_stamp

TIMEOUT = 60.0
CAMERAS = [f"camera/{name}/color/image_raw" for name in ("front", "side", "wrist")]
STATES = "franka/joint_states"


class Sender:
    """Publishes a cell's streams, in a context of its own: another participant of the network."""

    def __init__(self):
        self.context = Context()
        rclpy.init(context=self.context)
        self.node = Node("sender", context=self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        best_effort = QoSProfile(
            history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.BEST_EFFORT
        )
        self.publishers = {
            topic: self.node.create_publisher(Image, topic, best_effort) for topic in CAMERAS
        }
        self.publishers[STATES] = self.node.create_publisher(JointState, STATES, qos.RELIABLE)
        chunks, status = "labvla/action_chunk", "labvla/status"
        self.publishers[chunks] = self.node.create_publisher(ActionChunk, chunks, qos.RELIABLE)
        self.publishers[status] = self.node.create_publisher(PolicyStatus, status, qos.RELIABLE)
        self.sent = {f"/{topic}": [] for topic in self.publishers}
        self._step = 0

    def send(self, topic, data):
        self.publishers[topic].publish(data)
        self.sent[f"/{topic}"].append(data)

    def run(self, seconds):
        """Send at the cell's rates: cameras at 20 Hz, joint states at 100 Hz, a chunk a second."""
        begin, first = time.monotonic(), self._step
        while self._step - first < seconds * 100:
            now = time.time_ns()
            self.send(STATES, state(now, self._step))
            if self._step % 5 == 0:
                for topic in CAMERAS:
                    self.send(topic, picture(now, self._step, 32))
            if self._step % 100 == 0:
                self.send("labvla/action_chunk", serialize_message(ActionChunk(sequence=1)))
            if self._step % 20 == 0:
                status = PolicyStatus(policy="a policy", instruction="press the button")
                self.send("labvla/status", serialize_message(status))
            self._step += 1
            time.sleep(max(0.0, begin + (self._step - first) / 100 - time.monotonic()))

    def call(self, kind, name, **fields):
        client = self.node.create_client(kind, f"labvla/{name}")
        assert client.wait_for_service(TIMEOUT)
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:  # an answer may be lost: the same question again
            future = client.call_async(kind.Request(**fields))
            self._executor.spin_until_future_complete(future, timeout_sec=3.0)
            if future.done():
                self.node.destroy_client(client)
                return future.result()
        raise AssertionError(f"{name} was not answered")

    def end(self):
        self._executor.shutdown()
        self.node.destroy_node()
        self.context.try_shutdown()


class Running:
    """A recorder node that spins on a thread."""

    def __init__(self, folder, *parameters):
        words = ["--ros-args", "-p", f"cell:={write_cell(folder)}"]
        for parameter in (f"data_directory:={folder / 'recordings'}", *parameters):
            words += ["-p", parameter]
        rclpy.init(args=words)
        self.node = RecorderNode()
        self._executor = run.new_executor()
        self._executor.add_node(self.node)
        self.failure = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()

    def _spin(self):
        try:
            while not self._ending.is_set():
                self._executor.spin_once(timeout_sec=0.05)
        except Exception as error:  # what ends the process of a node
            self.failure = error

    def end(self):
        self._ending.set()
        self._thread.join()
        self.node.end()
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown()


@pytest.fixture(scope="module")
def sender():
    sender = Sender()
    yield sender
    sender.end()


@pytest.fixture
def recorder(tmp_path):
    running = Running(tmp_path, "preroll:=0.0", "disk_floor:=20.0")
    yield running
    running.end()


def start(sender, **fields):
    """Start an episode as soon as all streams have been found."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        sender.run(0.3)
        answer = sender.call(StartEpisode, "start_episode", **fields)
        if answer.accepted and "labvla/status" not in answer.message:
            return answer
        assert time.monotonic() < deadline, answer.message
        if answer.accepted:
            assert sender.call(DiscardEpisode, "discard_episode").accepted


def finish(sender, **fields):
    answer = sender.call(FinishEpisode, "finish_episode", **fields)
    assert answer.accepted, answer.message
    return answer


def recorded(answer):
    messages = read_with_mcap(Path(answer.path))
    assert sorted(read_with_rosbags(Path(answer.path).parent)) == sorted(messages)
    return {
        topic: [data for t, _, data in messages if t == topic] for topic, _, _ in set(messages)
    }, sidecar.load(Path(answer.path).parent)


def test_an_episode_holds_what_was_sent_bit_for_bit(sender, recorder):
    start(sender, operator_name="ada", tags=["one"])
    before = {topic: len(sent) for topic, sent in sender.sent.items()}
    sender.run(2.0)
    answer = finish(sender, outcome=FinishEpisode.Request.SUCCESS, notes="good")
    messages, described = recorded(answer)
    losses = {entry.topic: entry for entry in answer.lost}
    for topic, sent in sender.sent.items():
        during = sent[before[topic] :]
        entry = losses[topic]
        assert entry.written + entry.lost_transport + entry.lost_writer == len(during)
        assert messages[topic] == [data for data in during if data in set(messages[topic])]
    assert described.outcome == "success"
    assert described.wish.operator == "ada"
    assert described.wish.instruction == "press the button"  # the one that was set
    assert described.circumstances.policy == "a policy"
    assert (described.circumstances.cell, described.state) == ("small", "finished")


def test_what_is_lost_on_the_way_is_counted(sender, recorder):
    """The recorder is held up while more pictures come than the middleware keeps for it."""
    start(sender)
    sender.run(0.5)
    with recorder.node._taps._lock:
        for _ in range(taps.DEPTH_OF_PICTURES + 25):
            sender.send(CAMERAS[0], picture(time.time_ns(), 0, 32))
            time.sleep(0.002)
    sender.run(0.5)
    answer = finish(sender)
    messages, _ = recorded(answer)
    losses = {entry.topic: entry for entry in answer.lost}
    front = f"/{CAMERAS[0]}"
    assert losses[front].lost_transport >= 25
    assert losses[front].written == len(messages[front])
    since_first = sender.sent[front][sender.sent[front].index(messages[front][0]) :]
    assert len(messages[front]) + losses[front].lost_transport == len(since_first)


def test_the_status_tells_what_happens_and_what_is_silent(sender, recorder):
    found = []
    subscription = sender.node.create_subscription(
        RecorderStatus, "labvla/recorder", found.append, qos.RELIABLE
    )
    start(sender)
    sender.run(1.5)
    finish(sender)

    def spin_until(condition):
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < deadline
            sender._executor.spin_once(timeout_sec=0.1)

    spin_until(lambda: any(s.state == RecorderStatus.RECORDING and s.bytes_written for s in found))
    running = next(s for s in found if s.state == RecorderStatus.RECORDING and s.bytes_written)
    assert running.episode_id.startswith("small-")
    assert {entry.topic for entry in running.lost} >= {f"/{topic}" for topic in CAMERAS}
    found.clear()
    spin_until(lambda: found and found[-1].silent)  # nothing is sent any more
    assert set(found[-1].silent) >= {f"/{topic}" for topic in CAMERAS}
    refused = sender.call(StartEpisode, "start_episode")
    assert not refused.accepted
    assert "nothing comes on /camera/front" in refused.message
    sender.node.destroy_subscription(subscription)


def test_an_interrupted_episode_is_repaired_at_the_next_start(sender, recorder, tmp_path):
    start(sender)
    sender.run(1.5)
    answer = finish(sender)
    path = Path(answer.path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 2 // 3)
    recorder.end()
    second = Running(tmp_path)
    try:
        deadline = time.monotonic() + TIMEOUT
        while (described := sidecar.load(path.parent)).state != "repaired":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert described.repairs[-1]["messages"] == len(read_with_mcap(path))
        assert sum(described.repairs[-1]["missing_messages"].values()) > 0
    finally:
        second.end()


def test_messages_of_the_bag_are_what_a_node_would_have_got(sender, recorder):
    start(sender)
    sender.run(0.3)
    messages, _ = recorded(finish(sender))
    first = deserialize_message(messages[f"/{STATES}"][0], JointState)
    assert first.name == [f"joint{i}" for i in range(7)]
    assert first.position[1] - first.position[0] == pytest.approx(0.1)


def test_a_recorder_that_hears_nothing_any_more_keeps_the_episode_and_ends(
    sender, tmp_path, monkeypatch
):
    running = Running(tmp_path, "preroll:=0.0", "disk_floor:=20.0")
    try:
        episode = start(sender).episode_id
        sender.run(0.3)
        monkeypatch.setattr(running.node._taps, "_take", lambda *_: 1 / 0)
        deadline = time.monotonic() + TIMEOUT
        while running.failure is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert isinstance(running.failure, ZeroDivisionError)
        described = sidecar.load(tmp_path / "recordings" / episode)
        assert (described.state, described.ended_by) == ("finished", "fault")
    finally:
        monkeypatch.undo()
        running.end()


def test_a_status_that_cannot_be_read_is_recorded_and_harms_nobody(sender, recorder):
    start(sender)
    sender.send("labvla/status", b"\x00\x01\x00\x00\xff\xff\xff\xff")
    sender.run(0.3)
    messages, _ = recorded(finish(sender))
    assert b"\x00\x01\x00\x00\xff\xff\xff\xff" in messages["/labvla/status"]
    assert recorder.node._taps.failure is None


class Waiting:
    """A simulation that goes on only when the recorder says so, on a clock of its own."""

    PERIOD = 50_000_000  # ns

    def __init__(self, sender):
        self._sender, self.stamp, self._number = sender, SECOND, 0
        self._steps = sender.node.create_publisher(SimStep, "sim/step", qos.RELIABLE)
        self._told = []
        self._listener = sender.node.create_subscription(
            SimStepDone, "sim/step_done", self._told.append, qos.RELIABLE
        )

    def step(self, pictures=True):
        """Send everything of a moment; return without an answer."""
        self.stamp += self.PERIOD
        self._number += 1
        topics = [*CAMERAS, STATES] if pictures else [STATES]
        self._sender.send(STATES, state(self.stamp, self._number))
        for topic in topics[:-1]:
            self._sender.send(topic, picture(self.stamp, self._number, 32))
        self.announce(topics)

    def announce(self, topics):
        self._steps.publish(SimStep(stamp=to_stamp(self.stamp), topics=topics))

    def is_done(self):
        return any(
            to_ns(told.stamp) == self.stamp and told.state == SimStepDone.IDLE
            for told in self._told
        )

    def wait(self):
        """Announce the step again and again, as the simulator does, until the recorder is done."""
        deadline = time.monotonic() + TIMEOUT
        while not self.is_done():
            assert time.monotonic() < deadline, "the recorder holds up the simulation"
            self._sender._executor.spin_once(timeout_sec=0.2)
            self.announce([STATES])

    def end(self):
        self._sender.node.destroy_publisher(self._steps)
        self._sender.node.destroy_subscription(self._listener)


@pytest.fixture
def waiting(sender, tmp_path):
    running = Running(tmp_path, "preroll:=0.0", "disk_floor:=20.0", "lockstep:=true")
    simulation = Waiting(sender)
    simulation.recorder = running.node
    yield simulation
    simulation.end()
    running.end()


def test_a_simulation_in_lock_step_waits_until_everything_is_here(sender, waiting):
    def advance(steps):
        for _ in range(steps):
            waiting.step()
            waiting.wait()

    deadline = time.monotonic() + TIMEOUT
    while not sender.call(StartEpisode, "start_episode").accepted:
        assert time.monotonic() < deadline
        advance(2)
    begin = waiting.stamp
    steps = 3 * taps.DEPTH_OF_PICTURES
    advance(steps // 2)
    with waiting.recorder._taps._lock:  # a machine that has no time for the recorder
        waiting.step()
        for _ in range(5):
            sender._executor.spin_once(timeout_sec=0.05)
            assert not waiting.is_done()
    waiting.wait()
    advance(steps // 2)
    answer = finish(sender)
    messages, described = recorded(answer)
    for topic in (*CAMERAS, STATES):
        assert len(messages[f"/{topic}"]) == steps + 1
    entries = {entry.topic: entry for entry in answer.lost}
    assert all(entries[f"/{topic}"].lost_transport == 0 for topic in CAMERAS)
    assert described.clock == "simulated"
    assert (described.begin, described.end) == (begin, waiting.stamp)
    times = [log_time for _, log_time, _ in read_with_mcap(Path(answer.path))]
    assert begin <= min(times) <= max(times) == waiting.stamp


def test_a_simulation_waits_for_a_slow_disk(sender, waiting, monkeypatch):
    waiting.step()
    waiting.wait()
    monkeypatch.setattr(type(waiting.recorder._recorder), "is_behind", True)
    waiting.step()
    for _ in range(10):
        sender._executor.spin_once(timeout_sec=0.05)
        assert not waiting.is_done()
    monkeypatch.undo()
    waiting.wait()
