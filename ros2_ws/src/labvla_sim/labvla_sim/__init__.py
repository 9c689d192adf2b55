"""Simulated cells: robots, apparatus, cameras, tasks, judges and experts on MuJoCo.

Importing this package chooses how MuJoCo draws without a display, which has to be settled before
MuJoCo is first imported. Values that are already set win.
"""

import os

os.environ.setdefault("MUJOCO_GL", "egl")
# Mesa's software renderer gains nothing from threads of its own at camera sizes; they only add
# jitter to the control loop beside it.
os.environ.setdefault("LP_NUM_THREADS", "0")
