"""Teleoperation: a person's jog becomes short, checked plans that contain their own stop."""
