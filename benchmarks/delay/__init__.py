"""What a late answer costs: success and smoothness against the engine's delay, by scheduling mode."""
