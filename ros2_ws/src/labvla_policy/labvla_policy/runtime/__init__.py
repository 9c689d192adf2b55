"""Observation, scheduling, safety and cells: plain Python, no ROS, no torch."""
