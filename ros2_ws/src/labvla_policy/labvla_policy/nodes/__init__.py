"""Thin ROS nodes: they translate messages to runtime calls, nothing else."""
