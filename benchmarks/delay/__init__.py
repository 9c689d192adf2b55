"""What a late answer costs: success and smoothness against delay, by scheduling mode."""
