"""The OpenPI protocol as servers and clients of this stack speak it. Neither ROS nor a network."""
