"""What it costs to record, and whether everything that was sent is there or accounted for."""
