"""The set-up's own decisions; that it works as a whole is shown by every run of these tests."""

import pytest
import setup_bench
from setup_bench import SetupError, Step, SystemNeed

STALE = '"/opt/python/cp311-cp311/include/python3.11"'
STALE_NUMPY = "/opt/python/cp311-cp311/lib/python3.11/site-packages/numpy/_core/include"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"set(dirs {STALE})", 'set(dirs "/py")'),
        (f"INCLUDE {STALE_NUMPY};/usr/include", "INCLUDE /np;/usr/include"),
        (f'"{STALE_NUMPY};$<BUILD:/opt/x/include/python3.12>"', '"/np;$<BUILD:/py>"'),
        ("${_IMPORT_PREFIX}/include/rcl", "${_IMPORT_PREFIX}/include/rcl"),
        ("/usr/lib/libm.so", "/usr/lib/libm.so"),
    ],
)
def test_include_folders_of_another_machine_are_replaced(text, expected):
    assert setup_bench.repoint_includes(text, "/py", "/np") == expected


def test_repairing_one_environment_leaves_the_installers_cache_alone(tmp_path, monkeypatch):
    cached = tmp_path / "cached.cmake"
    cached.write_text(STALE)
    linked = tmp_path / "venv" / "share" / "some_msgs" / "cmake" / "export.cmake"
    linked.parent.mkdir(parents=True)
    linked.hardlink_to(cached)
    monkeypatch.setattr(setup_bench, "VENV", tmp_path / "venv")
    setup_bench.repair_cmake_paths(tmp_path / "log")
    assert cached.read_text() == STALE
    assert "/opt/python" not in linked.read_text()


def test_missing_system_packages_are_named_with_the_line_that_installs_them(monkeypatch):
    needs = (
        SystemNeed("a flux capacitor", "libflux1", lambda: False),
        SystemNeed("a thing that is there", "libthere1", lambda: True),
        SystemNeed("a warp core", "warp-core", lambda: False),
    )
    monkeypatch.setattr(setup_bench, "SYSTEM_NEEDS", needs)
    with pytest.raises(SetupError) as refusal:
        setup_bench.check_system()
    assert "a flux capacitor, a warp core" in str(refusal.value)
    assert "sudo apt-get install libflux1 warp-core" in str(refusal.value)
    assert "libthere1" not in str(refusal.value)


def test_another_python_is_refused(monkeypatch):
    monkeypatch.setattr(setup_bench.sys, "version_info", (3, 9, 18))
    with pytest.raises(SetupError, match=r"Python 3\.11 or 3\.12 is needed"):
        setup_bench.check_system()


def test_steps_are_done_once_and_again_when_their_inputs_change(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(setup_bench, "STAMPS", tmp_path)
    monkeypatch.setattr(setup_bench, "LOGS", tmp_path / "logs")
    done = []

    def step(digest):
        return Step("paint", "paint the house", digest, lambda log: done.append(digest))

    setup_bench.perform([step("red")])
    setup_bench.perform([step("red")])
    assert done == ["red"]
    assert "up to date" in capsys.readouterr().out
    setup_bench.perform([step("blue")])
    assert done == ["red", "blue"]


def test_a_failed_step_is_done_again(monkeypatch, tmp_path):
    monkeypatch.setattr(setup_bench, "STAMPS", tmp_path)
    monkeypatch.setattr(setup_bench, "LOGS", tmp_path / "logs")
    attempts = []

    def fails_once(log):
        attempts.append(1)
        if len(attempts) == 1:
            setup_bench.run(["sh", "-c", "echo what went wrong; exit 7"], log)

    with pytest.raises(SetupError, match="what went wrong"):
        setup_bench.perform([Step("paint", "", "red", fails_once)])
    setup_bench.perform([Step("paint", "", "red", fails_once)])
    assert len(attempts) == 2
