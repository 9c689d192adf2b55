"""What is taken in and what is refused, with its reason and the joint to blame."""

from __future__ import annotations

import cells
import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from labvla_control import Chunk, Controller, Refusal, simulate

CONFIG = cells.fr3_position()
HOME = cells.FR3_HOME
NAMES = [joint.name for joint in CONFIG.joints]
SECOND = 1_000_000_000


def rows(count: int = 20, offset: float = 0.0) -> np.ndarray:
    return np.broadcast_to(HOME + offset, (count, 7)).copy()


def chunk(targets=None, *, names=NAMES, dt=1 / 30, start=0, sequence=1, **more) -> Chunk:
    return Chunk(
        names,
        rows() if targets is None else targets,
        dt,
        plan_start_ns=start,
        sequence=sequence,
        **more,
    )


@pytest.fixture
def controller() -> Controller:
    c = Controller(CONFIG)
    c.activate(HOME)
    return c


def refusal(controller: Controller, *args, received_ns: int = 0, **kwargs) -> Refusal:
    return controller.submit(chunk(*args, **kwargs), received_ns=received_ns).refusal


def with_value(row: int, joint: int, value: float) -> np.ndarray:
    targets = rows()
    targets[row, joint] = value
    return targets


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({"targets": with_value(3, 2, np.nan)}, Refusal.NON_FINITE),
        ({"targets": with_value(0, 6, np.inf)}, Refusal.NON_FINITE),
        ({"targets": rows()[:, :6]}, Refusal.BAD_SHAPE),
        ({"targets": rows(1)}, Refusal.BAD_SHAPE),
        ({"targets": rows(129)}, Refusal.BAD_SHAPE),
        ({"names": [*NAMES[:6], "elbow"]}, Refusal.UNKNOWN_NAME),
        ({"names": [*NAMES[:6], NAMES[0]]}, Refusal.REPEATED_NAME),
        ({"names": NAMES[:6], "targets": rows()[:, :6]}, Refusal.MISSING_JOINT),
        ({"dt": 0.0}, Refusal.BAD_ROW_PERIOD),
        ({"dt": np.nan}, Refusal.BAD_ROW_PERIOD),
        ({"dt": 5.0}, Refusal.BAD_ROW_PERIOD),
        ({"start": SECOND, "observation_ns": 0}, Refusal.STARTS_TOO_FAR_AHEAD),
        ({"start": -SECOND}, Refusal.ENDS_IN_PAST),
        ({"observation_ns": -10 * SECOND}, Refusal.TOO_OLD),
        ({"observation_ns": SECOND // 100}, Refusal.OBSERVATION_AHEAD),
        ({"gripper_names": ["hand"], "gripper_targets": np.zeros((20, 1))}, Refusal.UNKNOWN_NAME),
        (
            {"gripper_names": ["gripper"], "gripper_targets": np.full((20, 1), np.nan)},
            Refusal.NON_FINITE,
        ),
        ({"gripper_names": ["gripper"], "gripper_targets": np.zeros((3, 1))}, Refusal.BAD_SHAPE),
    ],
)
def test_refused(controller: Controller, kwargs, expected: Refusal) -> None:
    assert refusal(controller, **kwargs) == expected
    counters = controller.counters()
    assert counters["accepted"] == 0
    assert counters[f"refused_{expected.name.lower()}"] == 1


def test_first_row_too_far_names_the_joint(controller: Controller) -> None:
    targets = rows()
    targets[:, 3] += 0.4
    verdict = controller.submit(chunk(targets), received_ns=0)
    assert verdict.refusal == Refusal.FIRST_ROW_FAR
    assert NAMES[verdict.joint] == "fr3_joint4"
    assert verdict.value == pytest.approx(0.4)
    assert "fr3_joint4" in str(verdict)


def test_first_row_is_the_first_one_still_due(controller: Controller) -> None:
    targets = rows(30)
    targets[:10] += 1.0  # long past on arrival
    verdict = controller.submit(chunk(targets), received_ns=SECOND // 2)
    assert verdict.accepted
    assert verdict.late_rows == 15


def test_order_of_names_does_not_matter() -> None:
    order = [3, 0, 6, 1, 5, 2, 4]
    time = np.arange(30)[:, None] / 30
    targets = HOME + 0.05 * np.arange(1, 8) * time**2
    plain = simulate(CONFIG, HOME, [(0.0, chunk(targets))], 0.5)
    mixed = simulate(
        CONFIG, HOME, [(0.0, chunk(targets[:, order], names=[NAMES[i] for i in order]))], 0.5
    )
    np.testing.assert_array_equal(plain.position, mixed.position)
    assert np.ptp(plain.position, axis=0).min() > 1e-3


def test_sequence_must_grow_within_a_session(controller: Controller) -> None:
    assert refusal(controller, sequence=5, session=1) == Refusal.NONE
    assert refusal(controller, sequence=5, session=1) == Refusal.OLD_SEQUENCE
    assert refusal(controller, sequence=4, session=1) == Refusal.OLD_SEQUENCE
    assert refusal(controller, sequence=1, session=2) == Refusal.NONE
    assert refusal(controller, sequence=9, session=1) == Refusal.OLD_SEQUENCE


def test_inactive_controller_takes_nothing() -> None:
    controller = Controller(CONFIG)
    assert refusal(controller) == Refusal.NOT_ACTIVE
    controller.activate(HOME)
    controller.deactivate()
    assert refusal(controller) == Refusal.NOT_ACTIVE


def test_a_loop_that_does_not_run_is_noticed(controller: Controller) -> None:
    verdicts = [refusal(controller, sequence=k) for k in range(1, 12)]
    assert Refusal.LOOP_NOT_RUNNING in verdicts
    for _ in range(3):
        controller.update(HOME, np.zeros(7))
    assert refusal(controller, sequence=20) == Refusal.NONE


@pytest.mark.parametrize("epoch", [0, 1_790_000_000 * SECOND, -(2**62)])
def test_only_differences_of_stamps_count(epoch: int) -> None:
    controller = Controller(CONFIG)
    controller.activate(HOME)
    targets = HOME + 0.02 * np.arange(40)[:, None] / 30
    verdict = controller.submit(
        chunk(targets, start=epoch, observation_ns=epoch), received_ns=epoch + SECOND // 10
    )
    assert verdict.accepted
    assert verdict.late_rows == 3
    for _ in range(400):
        state = controller.update(HOME, np.zeros(7))
    # 0.4 s after receipt the plan is 0.5 s old
    np.testing.assert_allclose(state.position, HOME + 0.01, atol=1e-3)


def test_the_stamp_of_the_cycle_counts_as_time_of_receipt() -> None:
    """Receipt and update time are then of one instant, however late the callback is run."""
    controller = Controller(CONFIG)
    controller.activate(HOME)
    epoch = 1_790_000_000 * SECOND
    state = controller.update(HOME, np.zeros(7), stamp_ns=epoch)
    assert state.stamp_ns == epoch
    verdict = controller.submit(
        chunk(rows(40), start=epoch - SECOND // 10), received_ns=epoch + SECOND
    )
    assert verdict.accepted
    assert verdict.late_rows == 3


def test_without_a_stamp_the_time_of_receipt_counts() -> None:
    controller = Controller(CONFIG)
    controller.activate(HOME)
    controller.update(HOME, np.zeros(7), stamp_ns=5 * SECOND)
    controller.update(HOME, np.zeros(7))
    verdict = controller.submit(chunk(rows(40)), received_ns=SECOND // 10)
    assert verdict.late_rows == 3


def test_a_plan_of_an_earlier_activation_is_not_executed() -> None:
    controller = Controller(CONFIG)
    controller.activate(HOME)
    assert controller.state().activation == 1
    assert controller.submit(chunk(rows() + 0.05)).accepted
    controller.activate(HOME)
    assert controller.state().activation == 2
    state = controller.update(HOME, np.zeros(7))
    assert state.splices == 0


def test_activation_outside_the_hardware_limits_is_refused() -> None:
    outside = HOME.copy()
    outside[1] = 1.9
    with pytest.raises(ValueError, match="outside its hardware limits"):
        Controller(CONFIG).activate(outside)


def test_a_joint_found_beyond_its_soft_limit_may_only_come_back() -> None:
    start = HOME.copy()
    start[1] = 1.76  # inside the hardware limit 1.7837, beyond the soft one
    soft = CONFIG.joints[1].soft_limits()[1]
    assert soft < 1.75
    chunks = []
    for k in range(40):
        targets = np.broadcast_to(start, (40, 7)).copy()
        targets[:, 1] += 0.2 if k < 10 else -0.2
        chunks.append((0.1 * k, chunk(targets, start=round(1e8 * k), sequence=k + 1)))
    trace = simulate(CONFIG, start, chunks, 4.0)
    assert trace.position[:, 1].max() <= 1.76 + 1e-9
    assert trace.position[-1, 1] < soft
    speed = np.abs(np.diff(trace.position, axis=0) / CONFIG.period).max(axis=0)
    assert speed[1] <= CONFIG.joints[1].operating.velocity + 1e-9


def test_a_joint_found_outside_its_operating_range_may_only_come_back() -> None:
    """Activation looks at the hardware range, the motion at the operating range."""
    joints = cells.fr3_joints()
    joints[3]["operating"] |= {"lower": -2.5, "upper": HOME[3] - 0.05}
    config = cells.fr3_position(joints=joints)
    chunks = []
    for k in range(40):
        targets = rows(40)
        targets[:, 3] += 0.1 if k < 10 else -0.2
        chunks.append((0.1 * k, chunk(targets, start=round(1e8 * k), sequence=k + 1)))
    trace = simulate(config, HOME, chunks, 4.0)
    assert trace.position[:, 3].max() <= HOME[3] + 1e-9
    assert -2.5 <= trace.position[-1, 3] <= HOME[3] - 0.05
    assert trace.position[:, 3].min() >= -2.5


@examples(300)
@given(data=st.data())
def test_no_stamp_and_no_number_upsets_it(data) -> None:
    """Any integers as stamps and any floats as rows give a verdict and a finite reference."""
    controller = Controller(CONFIG)
    controller.activate(HOME)
    stamps = st.integers(-(2**63), 2**63 - 1)
    for sequence in range(1, 4):
        count = data.draw(st.integers(2, 6))
        value = st.one_of(st.floats(width=64), st.floats(-4, 4))
        targets = np.array(
            data.draw(st.lists(value, min_size=7 * count, max_size=7 * count))
        ).reshape(count, 7)
        controller.submit(
            chunk(
                targets,
                dt=data.draw(st.one_of(st.floats(), st.floats(0.001, 0.1))),
                start=data.draw(stamps),
                observation_ns=data.draw(stamps),
                sequence=sequence,
            ),
            received_ns=data.draw(stamps),
        )
        for _ in range(20):
            state = controller.update(HOME, np.zeros(7))
        assert np.isfinite(state.command).all()
