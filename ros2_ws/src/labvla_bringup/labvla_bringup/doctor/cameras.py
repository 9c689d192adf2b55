"""Checks of the cameras' calibrations: which there are, and whether they still hold."""

from __future__ import annotations

from labvla_bringup.doctor.cell import running
from labvla_bringup.doctor.frame import Context, Failed, Skipped
from labvla_bringup.graph import Graph
from labvla_bringup.view_taker import look_once
from labvla_data.calibration.detection import UnusableError
from labvla_data.calibration.drift import drift
from labvla_data.calibration.errors import CalibrationError, OpenCvLackError


def calibration(context: Context) -> str:
    """Which cameras' mounts were measured; simulation and policy do without."""
    cell = context.cell
    told = []
    for camera in cell.cameras:
        if camera.calibration is None:
            told.append(f"{camera.name}: mount not measured")
        else:
            known = camera.calibration
            told.append(
                f"{camera.name}: {known.date}, {known.residual:.2f} px from {known.views} views"
            )
    if all(camera.calibration is None for camera in cell.cameras):
        hint = f"labvla calibrate camera {cell.name} {cell.cameras[0].name}"
        raise Skipped("no camera's mount was measured", hint)
    return "; ".join(told)


def moved(context: Context) -> str:
    """No calibrated camera has moved since, by the board at its place."""
    cell = context.cell
    calibrated = [camera for camera in cell.cameras if camera.calibration is not None]
    if not calibrated:
        raise Skipped("no camera's mount was measured")
    if not context.cameras:
        raise Skipped(
            "not asked for", f"put the board at its place: labvla doctor {cell.name} --cameras"
        )
    record = running(context)
    told: list[str] = []
    wrong: list[str] = []
    for camera in calibrated:
        try:
            with Graph(record.namespace) as graph:
                found = drift(cell, camera, look_once(graph, cell, camera.name))
        except (UnusableError, CalibrationError, OpenCvLackError) as error:
            wrong.append(f"{camera.name}: {error}")
            continue
        (told if found.within else wrong).append(f"{camera.name}: {found.text()}")
    if wrong:
        raise Failed(
            "; ".join(wrong + told),
            "is the board at its place, within a millimetre? Then calibrate the camera again: "
            f"labvla calibrate camera {cell.name} CAMERA",
        )
    return "; ".join(told)
