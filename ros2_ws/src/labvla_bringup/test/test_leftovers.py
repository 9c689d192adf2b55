"""What killed processes leave behind is found and given back; what lives is not touched."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labvla_bringup import leftovers

NODE = """
import sys, rclpy
rclpy.init()
node = rclpy.create_node("left_behind")
print("up", flush=True)
sys.stdin.read()
node.destroy_node()
rclpy.shutdown()
"""
OLD = 1_000_000_000  # s since 1970


@pytest.fixture
def started():
    children = []

    def start():
        before = set(Path("/dev/shm").iterdir())
        child = subprocess.Popen(
            [sys.executable, "-c", NODE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "LABVLA_TEST_MARK": "left"},
        )
        children.append(child)
        assert child.stdout.readline() == b"up\n"
        mine = Path(f"/proc/{child.pid}/maps").read_text()
        made = set(Path("/dev/shm").iterdir()) - before
        segments = {file for file in made if str(file) in mine and "port" not in file.name}
        assert segments
        files = segments | {file.with_name(file.name + "_el") for file in segments}
        for file in files:
            os.utime(file, (OLD, OLD))
        return child, files

    yield start
    for child in children:
        child.kill()
        child.communicate()


def test_memory_of_a_living_process_is_not_abandoned(started):
    _, files = started()
    assert not files & leftovers.abandoned_memory()


def test_memory_of_a_killed_process_is_given_back_once_it_is_old(started):
    child, files = started()
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert files <= leftovers.abandoned_memory()
    locks = [file for file in files if file.name.endswith("_el")]
    for lock in locks:
        os.utime(lock)  # as if it had just been made: its owner may be about to lock it
    assert not files & leftovers.abandoned_memory()
    for lock in locks:
        os.utime(lock, (OLD, OLD))
    assert leftovers.remove_abandoned_memory() >= 500_000
    assert not any(file.exists() for file in files)


def test_processes_are_found_by_environment_and_parent(started):
    child, _ = started()
    assert list(leftovers.processes("LABVLA_TEST_MARK", "left")) == [child.pid]
    assert leftovers.processes("LABVLA_TEST_MARK", "right") == {}
    assert child.pid in leftovers.children(os.getpid())
    assert "left_behind" in leftovers.children(os.getpid())[child.pid]
