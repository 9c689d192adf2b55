"""Print the arms of a cell as a MuJoCo model: what labvla_control/MujocoHardware drives.

Nothing but the arms: no bench, no things, no cameras. They compensate their own gravity.
"""

from __future__ import annotations

import argparse
import sys

import mujoco

from labvla_policy.runtime.cell import CellError, load_cell
from labvla_sim.arms import SourceUnavailable, arm_spec
from labvla_sim.drawing import quaternion

TIMESTEP = 0.001  # s


def main() -> int:
    """Print to standard output; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m labvla_sim.arms", description=__doc__)
    parser.add_argument("cell", help="name or file of a cell")
    try:
        cell = load_cell(parser.parse_args().cell)
        spec = mujoco.MjSpec()
        spec.modelname = cell.name
        spec.option.timestep = TIMESTEP
        spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        for index, arm in enumerate(cell.arms):
            pose = arm.base.matrix()
            foot = spec.worldbody.add_frame(pos=pose[:3, 3], quat=quaternion(pose[:3, :3]))
            foot.attach_body(arm_spec(arm, index).spec.body("link0"), f"{arm.name}/", "")
        spec.compile()
    except (CellError, SourceUnavailable) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(spec.to_xml())
    return 0


if __name__ == "__main__":
    sys.exit(main())
