"""ROS nodes of the simulation."""
