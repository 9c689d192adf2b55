"""Thin ROS nodes around recording."""
