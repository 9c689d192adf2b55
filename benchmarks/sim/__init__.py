"""How fast the simulated cell is, beside the loop that one writes first."""

import labvla_sim  # noqa: F401  # before mujoco: it says how MuJoCo draws without a display
