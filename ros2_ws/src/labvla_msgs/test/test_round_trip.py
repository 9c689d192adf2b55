"""Every interface goes to another process over DDS and comes back as it was.

Run as a program, this file is that other process: it echoes messages, and answers services and
actions with samples when, and only when, what it was asked equals the expected sample.
"""

import random
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rclpy
from rclpy.action import ActionClient, ActionServer
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

import labvla_msgs.action
import labvla_msgs.msg
import labvla_msgs.srv

TIMEOUT = 20.0
REQUEST, RESPONSE, FEEDBACK = 1, 2, 3  # seeds
INTEGER = re.compile(r"(u?)int(\d+)")


def interfaces(module):
    """All interfaces of a module, without the parts that the generator derives from them."""
    names = sorted(n for n in dir(module) if n[0].isupper() and "_" not in n)
    return [getattr(module, name) for name in names]


MESSAGES = interfaces(labvla_msgs.msg)
SERVICES = interfaces(labvla_msgs.srv)
ACTIONS = interfaces(labvla_msgs.action)


def sample(kind, seed):
    """Return an instance with every field filled, the same for the same seed."""
    source = random.Random(f"{kind.__name__} {seed}")
    return _filled(kind, source)


def _filled(kind, source):
    fields = kind.get_fields_and_field_types()
    return kind(**{name: _value(type_name, source) for name, type_name in fields.items()})


def _value(type_name, source):
    if match := re.fullmatch(r"sequence<(.+)>", type_name):
        return [_value(match[1], source) for _ in range(source.randint(1, 4))]
    if match := re.fullmatch(r"(.+)\[(\d+)\]", type_name):
        return np.array([_value(match[1], source) for _ in range(int(match[2]))], dtype=match[1])
    if match := INTEGER.fullmatch(type_name):
        bits = int(match[2])
        return source.getrandbits(bits) - (0 if match[1] else 2 ** (bits - 1))
    if type_name == "double":
        return source.uniform(-1e6, 1e6)
    if type_name == "boolean":
        return source.random() < 0.5
    if type_name == "string":
        return "".join(source.choice("aZ0 _µ°试") for _ in range(source.randint(1, 20)))
    package, name = type_name.split("/")
    return _filled(getattr(__import__(f"{package}.msg", fromlist=[name]), name), source)


def topic(kind):
    return f"round_trip/{kind.__name__.lower()}"


@pytest.fixture(scope="module")
def node():
    rclpy.init()
    node = Node("asks")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    node.spin_until = lambda condition: _spin_until(executor, condition)
    peer = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE)
    yield node
    peer.communicate(timeout=TIMEOUT)
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown()


def _spin_until(executor, condition):
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "no answer from the other process"
        executor.spin_once(timeout_sec=0.05)


def test_no_interface_is_left_out():
    files = {path.stem for path in Path(__file__).parents[1].glob("[msa]*/*.[msa]*")}
    assert {kind.__name__ for kind in MESSAGES + SERVICES + ACTIONS} == files


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_message(node, kind):
    returned = []
    publisher = node.create_publisher(kind, f"{topic(kind)}/there", 10)
    back = f"/{topic(kind)}/back"
    subscription = node.create_subscription(kind, back, returned.append, 10)
    node.spin_until(
        lambda: publisher.get_subscription_count() == 1 and node.count_publishers(back) == 1
    )
    sent = sample(kind, REQUEST)
    # Matched on this side is not yet matched on the other: the first message may be too early.
    for _ in range(20):
        publisher.publish(sent)
        end = time.monotonic() + 0.5
        node.spin_until(lambda end=end: bool(returned) or time.monotonic() > end)
        if returned:
            break
    assert returned, "no echo"
    assert returned[0] == sent
    node.destroy_publisher(publisher)
    node.destroy_subscription(subscription)


@pytest.mark.parametrize("kind", SERVICES, ids=lambda kind: kind.__name__)
def test_service(node, kind):
    client = node.create_client(kind, topic(kind))
    node.spin_until(client.service_is_ready)
    future = client.call_async(sample(kind.Request, REQUEST))
    node.spin_until(future.done)
    assert future.result() == sample(kind.Response, RESPONSE)


@pytest.mark.parametrize("kind", ACTIONS, ids=lambda kind: kind.__name__)
def test_action(node, kind):
    client = ActionClient(node, kind, topic(kind))
    node.spin_until(client.server_is_ready)
    feedback = []
    accepted = client.send_goal_async(
        sample(kind.Goal, REQUEST), feedback_callback=lambda m: feedback.append(m.feedback)
    )
    node.spin_until(accepted.done)
    assert accepted.result().accepted
    result = accepted.result().get_result_async()
    node.spin_until(lambda: result.done() and bool(feedback))
    assert result.result().result == sample(kind.Result, RESPONSE)
    assert all(received == sample(kind.Feedback, FEEDBACK) for received in feedback)
    client.destroy()


def _answer():
    """Be the other process until standard input closes."""
    rclpy.init()
    node = Node("answers")
    for kind in MESSAGES:
        publisher = node.create_publisher(kind, f"{topic(kind)}/back", 10)
        node.create_subscription(kind, f"{topic(kind)}/there", publisher.publish, 10)
    for kind in SERVICES:

        def serve(request, response, kind=kind):
            as_expected = request == sample(kind.Request, REQUEST)
            return sample(kind.Response, RESPONSE) if as_expected else response

        node.create_service(kind, topic(kind), serve)
    servers = []
    for kind in ACTIONS:

        def execute(goal, kind=kind):
            as_expected = goal.request == sample(kind.Goal, REQUEST)
            # Several times: the first may come before this side has found the other's reader.
            for _ in range(10):
                goal.publish_feedback(sample(kind.Feedback, FEEDBACK))
                time.sleep(0.1)
            goal.succeed()
            return sample(kind.Result, RESPONSE) if as_expected else kind.Result()

        servers.append(ActionServer(node, kind, topic(kind), execute))
    while not select.select([sys.stdin], [], [], 0)[0]:
        rclpy.spin_once(node, timeout_sec=0.05)
    for server in servers:
        server.destroy()
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    _answer()
