"""Serves a policy over the OpenPI protocol. No ROS; PyTorch only behind the policy."""
