"""An episode of a simulation that waits is told on the simulation's clock, whatever it takes."""

from bag_support import BEGIN, SECOND
from recorder_support import Rig

from labvla_data.recording import sidecar
from labvla_data.recording.clocks import MachineClock, StampClock

SLOW = 60  # times slower than the cell


def test_a_message_is_dated_by_the_newest_stamp():
    clock = StampClock()
    assert clock.date(received=5, stamp=None) == 0
    assert clock.date(received=6, stamp=BEGIN) == BEGIN
    assert clock.date(received=7, stamp=None) == BEGIN
    assert clock.date(received=8, stamp=BEGIN - 1) == BEGIN
    assert clock.now() == BEGIN


def test_in_real_time_a_message_is_dated_by_its_arrival():
    clock = MachineClock(lambda: 9)
    assert (clock.date(received=5, stamp=BEGIN), clock.now()) == (5, 9)


def test_a_slow_simulation_has_lost_nothing_and_keeps_its_rates(tmp_path):
    clock = StampClock()
    rig = Rig(tmp_path, clock=clock, slower=SLOW)
    rig.run(0.5)
    rig.start()
    rig.run(2.0)
    result = rig.finish()
    kept = sidecar.load(result.folder)
    assert kept.clock == "simulated"
    assert kept.duration * SECOND == result.entries[1].last_stamp - kept.begin
    for entry in result.entries[:2]:
        assert entry.lost == entry.clock_jumps == 0
        assert abs(entry.rate - entry.nominal_rate) < 0.01 * entry.nominal_rate
    assert kept.system_begin > 0
    assert kept.system_end >= kept.system_begin


def test_a_simulation_that_leaves_pictures_out_is_still_told_of(tmp_path):
    rig = Rig(tmp_path, clock=StampClock(), slower=SLOW)
    rig.run(0.5)
    rig.start()
    rig.run(1.0, lose=lambda stream, number: {"sent": stream != 0 or number not in (4, 5)})
    camera = rig.finish().entries[0]
    assert (camera.lost_source, camera.lost_transport, camera.lost_writer) == (2, 0, 0)
