#!/usr/bin/env python3
"""Stand-in: a node that takes every parameter and does nothing."""

import contextlib
import sys

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node


def main():
    """Run until interrupted."""
    rclpy.init()
    name = sys.argv[0].rsplit("/", 1)[-1].removesuffix(".py")
    node = Node(name, automatically_declare_parameters_from_overrides=True)
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)


main()
