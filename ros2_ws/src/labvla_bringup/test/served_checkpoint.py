"""`labvla serve` as a process of its own."""

import contextlib
import json
import os
import subprocess
import sys


@contextlib.contextmanager
def serve(checkpoint, **environment):
    """Serve a checkpoint for the cell franka; gives the process and what it announced."""
    words = ["serve", "--checkpoint", str(checkpoint), "--cell", "franka", "--port", "0", "--json"]
    server = subprocess.Popen(
        [sys.executable, "-m", "labvla_bringup.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        yield server, _announced(server)
    finally:
        if server.poll() is None:
            server.kill()
        server.communicate()


def _announced(server):
    text = ""
    while not text.endswith("}\n}\n"):
        line = server.stdout.readline()
        assert line, server.communicate()[1]
        text += line
    return json.loads(text)
