"""`labvla serve`: a checkpoint behind a socket answers as `labvla infer` does."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file
from served_checkpoint import serve
from serving_support import TOKEN, Client, http_get
from websockets.exceptions import InvalidStatus

from labvla_bringup import cli
from labvla_policy.model.inference import load_policy
from labvla_policy.openpi.names import TOKEN_VARIABLE

GOLDEN = Path(__file__).resolve().parents[2] / "labvla_policy" / "test" / "model" / "golden"
CHECKPOINT = str(GOLDEN / "A")
STATE = [0.05, -0.3, 0.1, -2.0, 0.0, 1.9, 0.8, 0.02]
PROMPT = "Press the button"
WAIT = 120.0
STOCK_PYTHON = Path(sys.prefix) / "openpi-client" / "bin" / "python"
STOCK_SCRIPT = Path(__file__).with_name("stock_replay.py")


@pytest.fixture(scope="module")
def served():
    """The command, as a person starts it; gives the process and what it announced."""
    with serve(CHECKPOINT, **{TOKEN_VARIABLE: TOKEN}) as running:
        yield running


def test_rows_are_those_of_infer(served, tmp_path):
    _, said = served
    frames = {slot: GOLDEN / "frames" / f"{name}.png" for slot, name in enumerate("abc")}
    images = [word for slot, path in frames.items() for word in ("--image", f"{slot}={path}")]
    state = ",".join(map(str, STATE))
    asked = ("--prompt", PROMPT, "--seed", "3", "--out", str(tmp_path / "chunk.safetensors"))
    assert cli.main(("infer", "--checkpoint", CHECKPOINT, *images, f"--state={state}", *asked)) == 0
    expected = load_file(tmp_path / "chunk.safetensors")["actions"]
    pictures = {f"camera_{slot + 1}_rgb": np.asarray(Image.open(frames[slot])) for slot in frames}
    header = {"Authorization": f"Bearer {TOKEN}"}
    with Client(said["uri"], extensions=True, additional_headers=header) as client:
        assert client.metadata["contract_hash"] == said["metadata"]["contract_hash"]
        reply = client.ask({**pictures, "state": STATE, "prompt": PROMPT, "seed": 3})
    np.testing.assert_allclose(reply["actions"], expected, rtol=1e-4, atol=1e-5)


def known_questions():
    """Questions whose answers are known from the policy itself, asked without any server."""
    policy = load_policy(CHECKPOINT)
    chance = np.random.default_rng(0)
    pictures = chance.integers(0, 256, (5, 3, 224, 224, 3), dtype=np.uint8)
    states = STATE + chance.normal(scale=0.05, size=(5, 8))
    prompts = [f"{PROMPT} number {number}" for number in range(5)]
    answers = [
        policy.predict(list(seen), state, prompt, seed=seed).actions
        for seed, (seen, state, prompt) in enumerate(zip(pictures, states, prompts, strict=True))
    ]
    return {
        "pictures": pictures,
        "states": states,
        "prompts": prompts,
        "seeds": np.arange(5),
        "actions": answers,
    }


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.skipif(not STOCK_PYTHON.exists(), reason="no stock client here: `make setup-tests`")
def test_the_stock_client_of_openpi_asks_a_thousand_times(served, tmp_path):
    np.savez(tmp_path / "questions.npz", **known_questions())
    words = [served[1]["uri"], "1000", TOKEN, tmp_path / "questions.npz"]
    done = subprocess.run(
        [STOCK_PYTHON, "-I", STOCK_SCRIPT, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    report = json.loads(done.stdout)
    assert (report["version"], report["requests"], report["questions"]) == ("0.1.2", 1000, 5)
    assert report["wrong"] == 0


def test_the_token_of_the_environment_is_asked_for(served):
    with pytest.raises(InvalidStatus):
        Client(served[1]["uri"])
    assert http_get(served[1]["uri"], "/healthz") == (200, "OK\n")


def test_a_signal_ends_it_in_order(served):
    server, said = served
    header = {"Authorization": f"Api-Key {TOKEN}"}
    with Client(said["uri"], additional_headers=header):
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=WAIT) == 0
    with pytest.raises(ConnectionRefusedError):
        Client(said["uri"], additional_headers=header)


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("--host", "0.0.0.0"), 2, "Set a token"),
        (("--token", "short"), 2, "at least 16"),
        (("--token", ""), 2, "got nothing"),
        (("--token", TOKEN, "--token-file", "x"), 2, "give one of them"),
        (("--token-file", "absent"), 2, "--token-file"),
        (("--port", "70000"), 2, "port: expected 0 to 65535, got 70000"),
        (("--deadline", "nan"), 2, "deadline: expected 0.01 to 3600, got nan"),
        (("--max-message", "0"), 2, "most_bytes"),
        (("--tls-cert", "cert.pem"), 2, "one needs the other"),
        (("--rows", "0"), 2, "--rows"),
        (("--steps", "0"), 2, "steps"),
        (("--cell", "nowhere"), 2, "nowhere"),
        (("--cell", "dual_arm"), 1, "checkpoint_contract"),
        (("--dataset", "x", "--checkpoint", "/absent"), 2, "no such folder"),
        (("--tls-cert", "cert.pem", "--tls-key", "key.pem"), 2, "cert.pem"),
    ],
)
def test_what_cannot_be_served_says_why(capsys, tmp_path, monkeypatch, words, code, complaint):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert cli.main(("serve", "--checkpoint", CHECKPOINT, "--port", "0", *words)) == code
    assert complaint in capsys.readouterr().err


def test_a_port_that_is_taken(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert cli.main(("serve", "--checkpoint", CHECKPOINT, "--port", str(port))) == 1
    assert f"127.0.0.1:{port}: Address already in use" in capsys.readouterr().err
