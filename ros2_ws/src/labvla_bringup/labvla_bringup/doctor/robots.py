"""Checks of the robots themselves, as far as they can be asked without their driver."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ament_index_python import PackageNotFoundError, get_package_share_directory

from labvla_bringup.doctor.frame import Context, Failed, Skipped
from labvla_policy.runtime.cell.arm import Arm, FrankaDriver, UrDriver

PATIENCE = 3.0  # s
DESK, FCI = 443, 1337
RTDE, DASHBOARD = 30004, 29999
INTERFACES = Path("/sys/class/net")
GIGABIT = 1000  # Mbit/s
E_SERIES = 5  # PolyScope

# driver -> package -> the version from which recovery works as it is described, and why
DRIVERS = {
    "franka_ros2": {
        "franka_hardware": ((3, 3), "since 3.3 the driver outlives an error of the robot"),
        "franka_description": ((2, 8), "franka_ros2 3.4 needs it"),
    },
    "ur_robot_driver": {"ur_robot_driver": ((3, 0), "this is the first one for Jazzy")},
}


def driver(context: Context) -> str:
    """The cell says how each robot is driven, and where it is."""
    arms = context.cell.arms
    without = [arm.name for arm in arms if arm.driver is None]
    if without:
        raise Failed(
            f"no driver for {', '.join(without)}", "add `driver` to the arm: docs/cells.md"
        )
    return ", ".join(f"{arm.name}: {_of(arm).kind} at {_of(arm).address}" for arm in arms)


def reachable(context: Context) -> str:
    """Each robot answers in the network."""
    return _each(context, _reach)


def _reach(arm: Arm) -> str:
    address = _of(arm).address
    port = DESK if isinstance(arm.driver, FrankaDriver) else RTDE
    if problem := _closed(address, port):
        raise Failed(
            f"{arm.name}: {address}:{port}: {problem}",
            "robot switched on, cable, its address in the cell file, this computer's address in "
            f"the same network: ping {address}",
        )
    return f"{arm.name} at {address}"


def control(context: Context) -> str:
    """Each robot lets a computer control it."""
    return _each(context, _controllable)


def _controllable(arm: Arm) -> str:
    address = _of(arm).address
    if isinstance(arm.driver, UrDriver):
        answer = _dashboard(arm, "is in remote control")
        if answer != "true":
            raise Failed(
                f"{arm.name}: is in remote control: {answer}",
                "on the pendant: remote control (top right); without it stop, unlock and play are "
                "done by hand",
            )
        return f"{arm.name}: remote control"
    if problem := _closed(address, FCI):
        raise Failed(
            f"{arm.name}: FCI at {address}:{FCI}: {problem}",
            f"https://{address}: open the brakes, activate FCI; the licence has to be there",
        )
    return f"{arm.name}: FCI is active"


def firmware(context: Context) -> str:
    """The robots' software is new enough, where they can be asked."""
    if all(isinstance(_of(arm), FrankaDriver) for arm in context.cell.arms):
        raise Skipped(
            "an FR3 tells its version to libfranka alone",
            "Desk, settings, shows it; libfranka's table of compatibility says which driver fits",
        )
    return _each(context, _polyscope)


def _polyscope(arm: Arm) -> str:
    if isinstance(_of(arm), FrankaDriver):
        return f"{arm.name}: see Desk"
    answer = _dashboard(arm, "PolyscopeVersion")
    found = re.search(r"(\d+)\.\d+(?:\.\d+)*", answer)
    if found is None:
        raise Failed(f"{arm.name}: PolyscopeVersion: {answer}", "is this a UR's dashboard?")
    if int(found[1]) < E_SERIES:
        raise Failed(
            f"{arm.name}: PolyScope {found[0]} is not an e-Series'",
            "the cell's limits and this driver are for a UR5e",
        )
    return f"{arm.name}: PolyScope {found[0]}"


def driver_versions(context: Context) -> str:
    """The drivers that are installed here are new enough."""
    kinds = sorted({_of(arm).kind for arm in context.cell.arms})
    found = {}
    for package, (least, why) in (pair for kind in kinds for pair in DRIVERS[kind].items()):
        try:
            share = Path(get_package_share_directory(package))
        except PackageNotFoundError:
            continue
        version = ElementTree.parse(share / "package.xml").findtext("version", "0").strip()
        found[package] = version
        if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < least:
            wanted = ".".join(map(str, least))
            raise Failed(f"{package} {version}, {wanted} is needed: {why}", "update the driver")
    if not found:
        raise Skipped(
            f"{', '.join(kinds)}: not installed here",
            "run this on the computer that runs the driver",
        )
    return ", ".join(f"{package} {version}" for package, version in found.items())


def network_card(context: Context) -> str:
    """Each robot hangs on a fast wired port of this computer, without a router."""
    if shutil.which("ip") is None:
        raise Skipped("the command ip is not installed", "sudo apt-get install iproute2")
    return _each(context, _card)


def _card(arm: Arm) -> str:
    address = _of(arm).address
    try:
        route = route_to(socket.gethostbyname(address))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise Failed(f"{arm.name}: no way to {address}: {error}", "ip route") from None
    card = str(route["dev"])
    if "gateway" in route:
        raise Failed(
            f"{arm.name}: {address} is behind the router {route['gateway']}",
            "connect the robot to a port of this computer, with an address in the robot's network",
        )
    if (INTERFACES / card / "wireless").exists():
        raise Failed(f"{arm.name}: {address} is reached by radio ({card})", "use a cable")
    try:
        speed = int((INTERFACES / card / "speed").read_text())
        duplex = (INTERFACES / card / "duplex").read_text().strip()
    except (OSError, ValueError):
        return f"{arm.name}: {card} (does not tell its speed)"
    if speed < GIGABIT or duplex != "full":
        raise Failed(
            f"{arm.name}: {card} runs at {speed} Mbit/s, {duplex} duplex",
            "cable, switch and autonegotiation: a gigabit, full duplex",
        )
    return f"{arm.name}: {card} at {speed} Mbit/s"


def route_to(address: str) -> dict[str, Any]:
    """Return the kernel's way to an address."""
    words = ("ip", "-json", "route", "get", address)
    done = subprocess.run(words, capture_output=True, text=True, timeout=10, check=True)
    return dict(json.loads(done.stdout)[0])


def _of(arm: Arm) -> FrankaDriver | UrDriver:
    if arm.driver is None:
        raise Skipped("the cell does not say how its robots are driven")
    return arm.driver


def _each(context: Context, check: Callable[[Arm], str]) -> str:
    return ", ".join(check(arm) for arm in context.cell.arms)


def _closed(address: str, port: int) -> str:
    """Return why nothing listens there; empty if something does."""
    try:
        socket.create_connection((address, port), PATIENCE).close()
    except OSError as error:
        return str(error)
    return ""


def _dashboard(arm: Arm, question: str) -> str:
    """Ask a UR's dashboard, which greets and answers in lines."""
    address = _of(arm).address
    try:
        with socket.create_connection((address, DASHBOARD), PATIENCE) as connection:
            lines = connection.makefile("r", encoding="utf-8", newline="\n")
            lines.readline()
            connection.sendall(f"{question}\n".encode())
            return lines.readline().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(
            f"{arm.name}: the dashboard at {address}:{DASHBOARD}: {error}",
            "robot switched on? PolyScope X has no dashboard: look at the pendant",
        ) from None
