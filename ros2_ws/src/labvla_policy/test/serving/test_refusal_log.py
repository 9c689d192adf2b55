"""What was refused is counted, and written down without flooding anybody."""

import logging

from labvla_policy.serving.reasons import LONGEST_DETAIL, RequestRefused
from labvla_policy.serving.refusal_log import RefusalLog


def test_the_same_is_told_once_a_second_and_counted_always(caplog):
    caplog.set_level(logging.WARNING)
    now = [0.0]
    log = RefusalLog(lambda: now[0])
    refused = RequestRefused("state_missing", "expected state")
    for now[0] in (0.0, 0.1, 0.9, 1.5):
        log.add("robot", refused)
    log.add("other", refused)
    log.add("robot", RequestRefused("overload", "full"))
    assert [record.getMessage() for record in caplog.records] == [
        "robot: state_missing: expected state",
        "robot: state_missing: expected state (2 more before)",
        "other: state_missing: expected state",
        "robot: overload: full",
    ]
    assert log.summary() == "state_missing 5, overload 1"


def test_many_clients_do_not_fill_the_memory():
    log = RefusalLog(lambda: 0.0)
    for number in range(5000):
        log.add(f"client {number}", RequestRefused("overload", ""))
    assert len(log._told) <= 1000
    assert log.counts["overload"] == 5000


def test_what_clients_send_cannot_disturb_a_terminal():
    refused = RequestRefused("camera_unknown", "got \x1b[2Jhidden\nline" + "x" * 10_000)
    assert refused.detail.startswith("got \N{REPLACEMENT CHARACTER}[2Jhidden")
    assert refused.detail.isprintable()
    assert len(refused.detail) == LONGEST_DETAIL
