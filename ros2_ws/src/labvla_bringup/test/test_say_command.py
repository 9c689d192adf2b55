"""`labvla say`, as a launch file uses it: it waits for the policy and finds it in its namespace."""

import pytest

from labvla_bringup.launched import NAMESPACE


def test_it_waits_for_the_policy_and_says_how_long_it_has(labvla):
    said = labvla("say", "press the start button", "--wait", "0.5")
    assert said.returncode == 1
    assert "no policy became active within 0.5 s" in said.stderr


@pytest.mark.parametrize("seconds", ["-1", "1e9", "nan"])
def test_a_wait_that_makes_no_sense_is_wrong_use(labvla, seconds):
    said = labvla("say", "press the start button", f"--wait={seconds}")
    assert said.returncode == 2
    assert "expected 0 to 3600 s" in said.stderr


def test_a_stack_that_launch_started_is_looked_for_in_the_namespace_that_it_was_given(labvla):
    said = labvla("say", "press the start button", env={NAMESPACE: "/lab1"})
    assert said.returncode == 1
    assert "nobody offers /lab1/labvla/set_instruction" in said.stderr
