"""Allows `python -m labvla_bringup.cli`."""

import sys

from labvla_bringup.cli import main

sys.exit(main())
