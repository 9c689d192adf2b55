"""What the tests of the command line share."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from labvla_bringup import registry
from labvla_bringup.environment import set_defaults

set_defaults(os.environ)

TIMEOUT = 240.0


class Labvla:
    """Runs the command as a person would, in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        self._background = []

    def __call__(self, *words, env=None):
        """Run to the end; return the completed process."""
        return subprocess.run(
            [sys.executable, "-m", "labvla_bringup.cli", *words],
            cwd=self.folder,
            env={**os.environ, **(env or {})},
            check=False,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )

    def json(self, *words, **kwargs):
        """Run with --json; return exit code and result."""
        done = self(*words, "--json", **kwargs)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    def up(self, *words, wait=True):
        """Run `labvla up` in the background and, unless told otherwise, wait until it is up."""
        child = subprocess.Popen(
            [sys.executable, "-m", "labvla_bringup.cli", "up", *words],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._background.append(child)
        if wait:
            wait_for(lambda: (r := registry.current()) is not None and r.state == "up")
        return child

    def end(self):
        """Leave nothing behind."""
        for child in self._background:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
            child.communicate(timeout=TIMEOUT)


def wait_for(condition, timeout=TIMEOUT):
    """Wait until a condition holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def labvla(tmp_path):
    command = Labvla(tmp_path)
    yield command
    command.end()


@pytest.fixture(scope="module")
def bring_up(tmp_path_factory):
    """Brings up a stack for the tests of a module."""
    command = Labvla(tmp_path_factory.mktemp("up"))

    def up(*words):
        command.up(*words)
        return command

    yield up
    command.end()


@pytest.fixture(scope="module")
def franka_up(bring_up):
    """A running stack that the tests of a module share: they look at it and leave it as it is."""
    return bring_up("franka")


@pytest.fixture(name="wait_for")
def _wait_for():
    return wait_for
