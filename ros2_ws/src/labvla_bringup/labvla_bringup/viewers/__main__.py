"""Print a viewer's configuration for a cell."""

import argparse
import sys

from labvla_bringup.viewers import VIEWERS
from labvla_policy.runtime.cell import CellError, load_cell


def main() -> int:
    """Print to standard output; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m labvla_bringup.viewers", description=__doc__)
    parser.add_argument("cell", help="name or file of a cell")
    parser.add_argument("viewer", choices=VIEWERS, help="what the configuration is for")
    arguments = parser.parse_args()
    try:
        sys.stdout.write(VIEWERS[arguments.viewer](load_cell(arguments.cell)))
    except CellError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
