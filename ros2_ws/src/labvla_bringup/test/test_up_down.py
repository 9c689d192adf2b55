"""A stack comes up, answers, survives faults and goes down without a trace."""

import os
import signal

import pytest

from labvla_bringup import leftovers, registry
from labvla_data.recording import sidecar


def stack_processes():
    """All processes of this run's stacks, by the folder that only they know."""
    found = leftovers.processes("XDG_RUNTIME_DIR", os.environ["XDG_RUNTIME_DIR"]).values()
    return [c for c in found if "/lib/labvla_" in c or "labvla_bringup.cli" in c]


def traces():
    """What a stack may leave behind."""
    ports = leftovers.ports(registry.domain())
    return {*stack_processes(), *ports, *leftovers.abandoned_memory()}


def test_the_stack_answers_and_goes_down(labvla):
    child = labvla.up("franka")
    code, status = labvla.json("status")
    assert code == 0
    assert status["state"] == "up"
    assert {p["name"]: p["state"] for p in status["processes"]} == {
        "sim": "ready",
        "policy": "ready",
        "recorder": "ready",
    }

    code, answer = labvla.json("say", "pick up the beaker")
    assert code == 0
    assert answer["accepted"]
    assert answer["effective_instruction"] == "pick up the beaker"
    code, answer = labvla.json("say", "x" * 3000)
    assert code == 1
    assert not answer["accepted"]
    assert "at most 2000 characters" in answer["message"]

    assert labvla("stop").returncode == 0
    refused = labvla("say", "go on")
    assert refused.returncode == 1
    assert "labvla recover" in refused.stderr
    assert labvla("recover").returncode == 0
    assert labvla("say", "go on").returncode == 0

    second = labvla("up", "dual_franka")
    assert second.returncode == 1
    assert "franka is up already" in second.stderr

    code, episode = labvla.json("record", "start")
    assert code == 0, episode
    assert labvla("down").returncode == 0
    assert child.wait(timeout=5) == 0
    described = sidecar.load(labvla.folder / "out" / "recordings" / episode["episode_id"])
    assert (described.state, described.ended_by) == ("finished", "shutdown")
    assert stack_processes() == []
    code, status = labvla.json("status")
    assert (code, status["state"], status["processes"]) == (1, "down", [])


def test_ctrl_c_ends_everything_with_code_0(labvla):
    child = labvla.up("franka")
    os.killpg(child.pid, signal.SIGINT)  # what a terminal sends
    assert child.wait(timeout=15) == 0
    assert stack_processes() == []


def pid_of(name):
    return next(p.pid for p in registry.current().processes if p.name == name)


def test_a_killed_policy_is_started_again(labvla, wait_for):
    labvla.up("franka")
    before = pid_of("policy")
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: pid_of("policy") not in (before, None))
    wait_for(lambda: {p.state for p in registry.current().processes} == {"ready"})
    code, status = labvla.json("status")
    assert code == 0
    policy = next(p for p in status["processes"] if p["name"] == "policy")
    assert (policy["restarts"], policy["exit_code"]) == (1, -signal.SIGKILL)
    assert labvla("say", "go on").returncode == 0


def test_the_end_of_an_essential_process_brings_the_stack_down(labvla):
    child = labvla.up("franka")
    os.kill(pid_of("sim"), signal.SIGKILL)
    output, _ = child.communicate(timeout=20)
    assert child.returncode == 1
    assert "sim killed by SIGKILL" in output
    assert stack_processes() == []


def test_a_killed_supervisor_leaves_no_orphans(labvla, wait_for):
    child = labvla.up("franka")
    child.kill()
    child.wait()
    wait_for(lambda: stack_processes() == [], timeout=10)
    assert labvla("status").returncode == 1


def assert_cycles_leave_nothing_behind(labvla, times):
    before = traces()
    for _ in range(times):
        labvla.up("franka")
        assert labvla("down").returncode == 0
    # Less than before is no fault: the middleware clears away what crashed processes left.
    assert traces() - before == set()


def test_cycles_leave_nothing_behind(labvla):
    assert_cycles_leave_nothing_behind(labvla, 2)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_ten_cycles_leave_nothing_behind(labvla):
    assert_cycles_leave_nothing_behind(labvla, 10)


def test_a_cell_that_cannot_be_simulated_says_so(labvla):
    done = labvla("up", "ur5e")
    assert done.returncode == 2
    assert "ur5e cannot be simulated in this version" in done.stderr


@pytest.mark.timeout(300)
def test_the_experts_demonstration_holds_what_it_claims(labvla):
    code, found = labvla.json("demo", "franka", "--engine", "expert")
    assert found["engine"] == "expert"
    assert [claim for claim, held in found["claims"].items() if not held] == [], found["figures"]
    assert (code, found["ok"]) == (0, True)
    assert [episode["success"] for episode in found["episodes"]] == [True, True]
    assert (labvla.folder / found["film"]).stat().st_size > 10_000


@pytest.mark.timeout(300)
def test_the_learned_demonstration_says_what_was_done(labvla):
    """A policy may fail; the stack around it may not, and nothing may be glossed over."""
    code, found = labvla.json("demo", "franka")
    assert found["engine"] == "labvla"
    claims, episodes = found["claims"], found["episodes"]
    for episode in episodes:
        assert claims.pop(f"{episode['instruction']}: done") == episode["success"]
        assert bool(episode["missing"]) != episode["success"]
    assert [claim for claim, held in claims.items() if not held] == [], found["figures"]
    assert any(episode["success"] for episode in episodes), found["figures"]
    succeeded = all(episode["success"] for episode in episodes)
    assert (code, found["ok"]) == (0 if succeeded else 1, succeeded)
