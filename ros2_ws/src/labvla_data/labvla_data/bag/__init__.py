"""Bags as rosbag2 writes them: a folder with an MCAP file and metadata.yaml."""
