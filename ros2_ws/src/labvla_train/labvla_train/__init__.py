"""Trains policies: a dataset and a file of settings in, a checkpoint that runs out. No ROS."""
