"""Parameter files for the controllers that may move a cell, made from the cell file.

The cell file is the one description of limits, springs and names; these modules say the same in the
words of each controller. `config/controllers/` holds what they print.
"""

from labvla_bringup.controllers.files import (
    KINDS,
    ControllerError,
    controller_names,
    parameters,
    remappings,
    to_yaml,
)

__all__ = ["KINDS", "ControllerError", "controller_names", "parameters", "remappings", "to_yaml"]
