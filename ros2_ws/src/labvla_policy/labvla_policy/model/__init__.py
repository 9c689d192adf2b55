"""The policy network and its files: PyTorch, no ROS. Importing this package needs neither."""
