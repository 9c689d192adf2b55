"""Checks of the computer that runs a robot's driver: time, kernel, limits, memory, buffers."""

from __future__ import annotations

import resource
import shutil
import subprocess
from pathlib import Path

from labvla_bringup.doctor.frame import Context, Failed, Skipped
from labvla_bringup.doctor.machine import SHARED_MEMORY

REALTIME = Path("/sys/kernel/realtime")
CONTAINER_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))
PROCESSORS = Path("/sys/devices/system/cpu")
BUFFERS = Path("/proc/sys/net/core")
PRIORITY = 98  # of the drivers' threads
MEMORY = 512 * 1024 * 1024  # bytes that a driver locks at most
IMAGE_BUFFER = 4 * 1024 * 1024  # as config/dds/fastdds.xml asks for
DOCKERS_OWN = 64 * 1024 * 1024
OFFSET = 1e-3  # s; chunks are refused from 5 ms on, and two clocks each have their own error
SYNCHRONISE = (
    "two computers: sudo apt-get install chrony; on the robot's computer `allow` and `local "
    "stratum 8`, on the other one `server ROBOT_PC iburst minpoll 0 maxpoll 2`; where both network "
    "cards have hardware stamps (ethtool -T): ptp4l and phc2sys"
)


def clock_sync(_context: Context) -> str:
    """This computer's clock is disciplined."""
    if shutil.which("chronyc"):
        return _judge_chrony(_run("chronyc", "-c", "tracking"))
    if shutil.which("timedatectl"):
        if _run("timedatectl", "show", "-p", "NTPSynchronized", "--value") == "yes":
            return "synchronised by the system's own service: good to some milliseconds"
        raise Failed("the clock is not synchronised", SYNCHRONISE)
    raise Skipped("neither chronyc nor timedatectl is here to ask", SYNCHRONISE)


def _judge_chrony(answer: str) -> str:
    """Read `chronyc -c tracking`: the fifth field is the offset in s, the last the leap status."""
    fields = answer.split(",")
    try:
        offset, leap = abs(float(fields[4])), fields[13]
    except (IndexError, ValueError):
        raise Failed(
            f"chronyc answered {answer!r}", "is chronyd running? systemctl status chrony"
        ) from None
    if leap != "Normal":
        raise Failed(f"chrony follows no other clock ({leap})", SYNCHRONISE)
    if offset > OFFSET:
        raise Failed(
            f"chrony is still {offset * 1e3:.1f} ms off, {OFFSET * 1e3:g} ms are good",
            "wait, or: sudo chronyc makestep (with everything stopped)",
        )
    return f"chrony follows {fields[1]}, {offset * 1e6:.0f} us off"


def realtime_kernel(_context: Context) -> str:
    """The kernel keeps a 1 kHz driver's deadlines."""
    if REALTIME.exists() and REALTIME.read_text().strip() == "1":
        return "PREEMPT_RT"
    version = _run("uname", "-v")
    if "PREEMPT_RT" in version:
        return "PREEMPT_RT"
    raise Failed(
        f"not a realtime kernel: {version}",
        "Ubuntu: sudo pro enable realtime-kernel; an FR3 stops with communication_constraints_"
        "violation without it, a UR mostly lives with a low-latency one",
    )


def realtime_limits(_context: Context) -> str:
    """The user may take realtime priority and lock memory."""
    hint = (
        "/etc/security/limits.d/realtime.conf: `@realtime - rtprio 99` and `@realtime - memlock "
        "unlimited`; sudo usermod -aG realtime $USER; log in again. In a container: --ulimit"
    )
    priority = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
    if priority != resource.RLIM_INFINITY and priority < PRIORITY:
        raise Failed(f"ulimit -r is {priority}, {PRIORITY} are needed", hint)
    locked = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    if locked != resource.RLIM_INFINITY and locked < MEMORY:
        raise Failed(
            f"ulimit -l is {locked // 1024} kB, {MEMORY // 1024} kB or unlimited are needed", hint
        )
    return f"ulimit -r {_words(priority)}, locked memory {_words(locked)}"


def cpu_governor(_context: Context) -> str:
    """No processor saves power while the robot moves."""
    files = sorted(PROCESSORS.glob("cpu[0-9]*/cpufreq/scaling_governor"))
    if not files:
        raise Skipped("no governor to ask: a virtual machine, or fixed in the BIOS")
    saving = {text for file in files if (text := file.read_text().strip()) != "performance"}
    if saving:
        raise Failed(
            f"the governor is {', '.join(sorted(saving))}",
            "sudo cpupower frequency-set -g performance",
        )
    return f"performance on {len(files)} processors"


def socket_buffers(_context: Context) -> str:
    """The network buffers of the kernel hold an image."""
    files = [BUFFERS / name for name in ("rmem_max", "wmem_max")]
    if not all(file.exists() for file in files):
        raise Skipped(f"{BUFFERS} does not tell them here: a container's own network")
    small = {file.name: size for file in files if (size := int(file.read_text())) < IMAGE_BUFFER}
    if small:
        found = ", ".join(f"net.core.{name} is {size}" for name, size in small.items())
        wanted = " ".join(f"net.core.{name}={IMAGE_BUFFER}" for name in small)
        raise Failed(
            f"{found}; images between two computers need {IMAGE_BUFFER}",
            f"sudo sysctl -w {wanted}, and the same in /etc/sysctl.d/60-labvla.conf",
        )
    return f"at least {IMAGE_BUFFER // 1024} kB each way"


def ipc(_context: Context) -> str:
    """A container has the host's shared memory."""
    if not any(mark.exists() for mark in CONTAINER_MARKS):
        return "not in a container"
    size = shutil.disk_usage(SHARED_MEMORY).total
    if size <= DOCKERS_OWN:
        raise Failed(
            f"a container with a shared memory of its own ({size // 2**20} MiB): other containers "
            "are not reached through it",
            "--ipc=host (compose: `ipc: host`) and the same user id in all of them",
        )
    return f"a container with {size // 2**20} MiB of shared memory"


def _words(limit: int) -> str:
    return "unlimited" if limit == resource.RLIM_INFINITY else str(limit)


def _run(*words: str) -> str:
    """Return what a small tool says; what it complains about where it fails."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (done.stdout or done.stderr).strip()
