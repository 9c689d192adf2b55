#!/usr/bin/env python3
"""The real spawner, started from where this prefix expects it."""

import sys

from controller_manager.spawner import main

sys.exit(main())
