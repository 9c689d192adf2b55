"""`labvla bench soak`: its rules can tell a leak and a loss, and its result is complete."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from labvla_bringup import cli

ROOT = Path(__file__).resolve().parents[4]
sys.path.append(str(ROOT))

from benchmarks.node.segment import Received  # noqa: E402
from benchmarks.soak import accounts  # noqa: E402
from benchmarks.soak.growth import ALLOWED, growth, slope  # noqa: E402
from benchmarks.soak.stream import Stream  # noqa: E402

SECOND = 1_000_000_000
RATE = 30.0
EPOCH = 1_700_000_000 * SECOND  # stamps are times of day: larger than a double holds to the ns


def stream(count=300, lost=(), skipped=(), pace=1.0):
    """Messages at 30 Hz; some did not come to the witness, some were never sent."""
    moments = [moment for moment in range(count) if moment not in skipped]
    rows = [
        (number, EPOCH + round(moment * SECOND / RATE), round(moment * SECOND / RATE / pace))
        for number, moment in enumerate(moments, 1)
        if moment not in lost
    ]
    return Stream.of(np.array(rows))


def stamp(moment):
    return EPOCH + round(moment * SECOND / RATE)


def memory(minutes=10, leak=0.0, start=200.0, warm_up=30.0):
    """A process that fills its buffers in the first minute, and may leak."""
    seconds = np.arange(0.0, 60.0 * minutes)
    noise = np.random.default_rng(4).normal(0.0, 0.5, len(seconds))
    filled = warm_up * np.minimum(seconds / 50.0, 1.0)
    return seconds, start + filled + leak * seconds / 60.0 + noise


def test_what_fills_up_at_the_start_is_no_growth():
    found = growth(*memory())
    assert found.none
    assert abs(found.slope) < 0.1


def test_a_leak_is_growth():
    found = growth(*memory(leak=2 * ALLOWED))
    assert not found.none
    assert found.slope == pytest.approx(2 * ALLOWED, rel=0.05)
    assert found.last - found.first == pytest.approx(2 * ALLOWED * 9 * 0.9, rel=0.1)


def test_one_step_is_no_slope():
    seconds, megabytes = memory()
    megabytes[400:] += 5.0
    megabytes[200:203] += 300.0
    assert abs(growth(seconds, megabytes).later) < ALLOWED
    assert slope(seconds[60:], np.full(540, 7.0)) == 0.0


def test_growth_needs_samples():
    with pytest.raises(ValueError, match="two samples"):
        growth([0.0], [1.0])


def test_the_witness_knows_what_it_has_lost_itself():
    account = accounts.of_witness("front", stream(lost=(10, 11, 200)))
    assert (account.sent, account.received, account.unaccounted) == (300, 297, 0)


def test_messages_are_numbered_even_where_the_witness_lost_them():
    assert stream(lost=(10, 11)).sent(stamp(0), stamp(10)) == 10
    with pytest.raises(ValueError, match="nobody has witnessed"):
        stream().number_at(stamp(301))


@pytest.mark.parametrize(
    ("received", "counted", "unaccounted"), [(290, 0, 0), (280, 10, 0), (280, 0, 10), (290, 3, 3)]
)
def test_a_policy_that_counts_wrong_is_found(received, counted, unaccounted):
    before, after = Received(stamp(5), 6, 0), Received(stamp(295), 6 + received, counted)
    account = accounts.of_policy("front", stream(), RATE, before, after, 0)
    assert account.sent == 290
    assert account.unaccounted == unaccounted


def test_what_was_never_sent_is_not_held_against_the_receiver():
    sent = stream(skipped=(50, 51, 120))
    before, after = Received(stamp(5), 0, 0), Received(stamp(295), 287, 3)
    account = accounts.of_policy("front", sent, RATE, before, after, 0)
    assert (account.sent, account.never_sent, account.unaccounted) == (287, 3, 0)


def test_ledgers_of_several_episodes_are_added():
    def entry(first, last, written, **lost):
        nothing = {"lost_transport": 0, "lost_writer": 0, "lost_source": 0}
        ends = {"first_stamp": stamp(first), "last_stamp": stamp(last)}
        return {**nothing, **lost, **ends, "arrived": written, "written": written}

    good = accounts.of_recorder("front", stream(), [entry(0, 99, 100), entry(150, 199, 50)])
    assert (good.sent, good.received, good.unaccounted) == (150, 150, 0)
    honest = accounts.of_recorder("front", stream(), [entry(0, 99, 97, lost_transport=3)])
    assert honest.unaccounted == 0
    silent = accounts.of_recorder("front", stream(), [entry(0, 99, 97)])
    assert silent.unaccounted == 3


def test_pace_and_rates():
    slow = stream(count=900, pace=0.5)
    begin, end = 0, 40 * SECOND
    assert slow.pace(begin, end) == pytest.approx(0.5)
    assert slow.paces(begin, end, 5.0) == pytest.approx([0.5] * 8)
    assert slow.rate(begin, end) == pytest.approx(15.0, rel=0.01)
    assert slow.rates(begin, end, 10.0) == pytest.approx([15.0] * 4, rel=0.02)


@pytest.mark.parametrize("words", [("--minutes", "0"), ("--minutes", "1e9"), ("--minutes", "x")])
def test_wrong_use(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["bench", "soak", *words])
    assert stopped.value.code == 2
    assert "--minutes" in capsys.readouterr().err


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("words", [(), ("--no-recording",)], ids=["recorded", "not recorded"])
def test_the_result_is_complete(tmp_path, words):
    assert cli.main(["bench", "soak", "--quick", "--out", str(tmp_path), *words]) == 0
    result = json.loads((tmp_path / "bench_soak.json").read_text())
    assert (tmp_path / "bench_soak.png").stat().st_size > 10_000
    processes = {row["process"] for row in result["rows"]}
    assert processes == {"supervisor", "sim", "policy", "engine"} | (
        set() if words else {"recorder"}
    )
    receivers = {account["receiver"] for account in result["accounts"]}
    assert receivers == {"client", "policy"} | (set() if words else {"recorder"})
    assert all(account["sent"] > 0 for account in result["accounts"])
    assert result["work"]["episodes"] > 0
    assert sum(account["unaccounted"] for account in result["accounts"]) == 0
    assert not list(tmp_path.glob("soak-*"))
