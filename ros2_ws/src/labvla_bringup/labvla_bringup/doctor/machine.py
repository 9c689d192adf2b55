"""Checks of this machine and of the installation."""

from __future__ import annotations

import ctypes
import importlib
import os
import platform
import shutil
import sys
from pathlib import Path

from labvla_bringup.doctor.frame import Context, Failed, Skipped
from labvla_bringup.registry import HIGHEST_DOMAIN
from labvla_bringup.stack import describe
from labvla_bringup.supervisor import SupervisorError, executable_path

SETUP = "run `make setup`"
SHARED_MEMORY = Path("/dev/shm")
MEGABYTE = 1_000_000
NEEDED_SHARED_MEMORY = 64 * MEGABYTE  # three cameras at 1 MB and five deep, twice over
NEEDED_DISK = 2_000 * MEGABYTE  # a quarter of an hour of three JPEG cameras
RANGES = ("SUBNET", "LOCALHOST", "OFF", "SYSTEM_DEFAULT")


def python(_context: Context) -> str:
    """The interpreter is one that the stack is tested with."""
    version = platform.python_version()
    if sys.version_info[:2] not in ((3, 11), (3, 12)):
        raise Failed(f"Python {version}; tested are 3.11 and 3.12", "make setup PYTHON=python3.12")
    return f"Python {version}"


def ros(_context: Context) -> str:
    """ROS 2 can be imported and has a middleware."""
    try:
        rclpy_utilities = importlib.import_module("rclpy.utilities")
        middleware = rclpy_utilities.get_rmw_implementation_identifier()
    except Exception as error:  # a broken middleware raises whatever its loader raises
        raise Failed(f"rclpy does not work: {error}", SETUP) from None
    return f"{os.environ.get('ROS_DISTRO', 'kilted, from wheels')}, {middleware}"


def interfaces(_context: Context) -> str:
    """The stack's own messages are built."""
    try:
        module = importlib.import_module("labvla_msgs.msg")
        module.ActionChunk()
    except Exception as error:
        raise Failed(f"labvla_msgs cannot be used: {error}", SETUP) from None
    return "labvla_msgs is built"


def executables(context: Context) -> str:
    """Every process of the stack can be started."""
    processes = describe(context.cell).processes
    try:
        for process in processes:
            executable_path(process)
    except SupervisorError as error:
        raise Failed(str(error), SETUP) from None
    return ", ".join(process.name for process in processes)


def domain(_context: Context) -> str:
    """The ROS domain is valid and its reach is known."""
    text = os.environ.get("ROS_DOMAIN_ID") or "0"
    if not text.isdecimal() or int(text) > HIGHEST_DOMAIN:
        raise Failed(
            f"ROS_DOMAIN_ID: expected a number from 0 to {HIGHEST_DOMAIN}, got {text!r}",
            "export ROS_DOMAIN_ID=0",
        )
    reach = os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"]
    if reach not in RANGES:
        raise Failed(
            f"ROS_AUTOMATIC_DISCOVERY_RANGE: expected one of {', '.join(RANGES)}, got {reach!r}",
            "unset it for this machine only, or set SUBNET for a cell of two computers",
        )
    return f"domain {text}, discovery range {reach}"


def shared_memory(_context: Context) -> str:
    """Images can go through shared memory."""
    if not os.access(SHARED_MEMORY, os.W_OK):
        raise Failed(f"{SHARED_MEMORY} cannot be written", "in a container: --ipc=host")
    free = shutil.disk_usage(SHARED_MEMORY).free
    if free < NEEDED_SHARED_MEMORY:
        raise Failed(
            f"{SHARED_MEMORY} has {free / MEGABYTE:.0f} MB free, "
            f"{NEEDED_SHARED_MEMORY / MEGABYTE:.0f} MB are needed",
            "in a container: --ipc=host; else look for what fills it: ls -l /dev/shm",
        )
    return f"{free / MEGABYTE:.0f} MB free"


def disk(_context: Context) -> str:
    """There is room for recordings and logs."""
    free = shutil.disk_usage(Path.cwd()).free
    if free < NEEDED_DISK:
        raise Failed(
            f"{free / MEGABYTE:.0f} MB free here, {NEEDED_DISK / MEGABYTE:.0f} MB are needed",
            "make room, or work in another folder",
        )
    return f"{free / MEGABYTE / 1000:.0f} GB free"


def rendering(_context: Context) -> str:
    """Simulated cameras can be rendered without a display."""
    try:
        ctypes.CDLL("libEGL.so.1")
    except OSError as error:
        raise Failed(f"EGL cannot be loaded: {error}", "sudo apt-get install libegl1") from None
    return "EGL is there"


def torch(_context: Context) -> str:
    """PyTorch is there, for learned policies."""
    try:
        module = importlib.import_module("torch")
    except ImportError:
        raise Skipped("PyTorch is not installed: no learned policy", "make setup") from None
    return f"PyTorch {module.__version__}"


def gpu(_context: Context) -> str:
    """A GPU is there, for the full-size policy."""
    try:
        module = importlib.import_module("torch")
    except ImportError:
        raise Skipped("PyTorch is not installed") from None
    if not module.cuda.is_available():
        raise Skipped(
            "no CUDA device; the full-size policy needs one", "make setup TORCH=cuda where one is"
        )
    return str(module.cuda.get_device_name())
