"""Print the controllers' parameter file of a cell."""

import argparse
import sys

from labvla_bringup.controllers import KINDS, ControllerError, to_yaml
from labvla_policy.runtime.cell import CellError, load_cell


def main() -> int:
    """Print to standard output; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m labvla_bringup.controllers", description=__doc__
    )
    parser.add_argument("cell", help="name or file of a cell")
    parser.add_argument("kind", choices=KINDS, help="which controller moves the arms")
    arguments = parser.parse_args()
    try:
        sys.stdout.write(to_yaml(load_cell(arguments.cell), arguments.kind))
    except (CellError, ControllerError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
