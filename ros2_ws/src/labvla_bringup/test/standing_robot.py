"""A robot that stands in one posture after the other, and what its camera sees there."""

import array
import threading
import time

import rclpy
from rclpy.context import Context
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Header

from labvla_policy.nodes import qos
from labvla_policy.nodes.stamps import to_stamp

PERIOD = 0.02  # s between joint states
EVERY = 5  # joint states to a picture


class StandingRobot:
    """Publishes on the topics of the cell from a thread."""

    def __init__(self, cell, camera, views, trembles=0.0, stale=0.0):
        self._camera, self._views, self._cell = camera, views, cell
        self._trembles, self._stale = trembles, stale
        self._index = 0
        self._end = threading.Event()
        self._context = Context()
        rclpy.init(context=self._context)
        self._node = Node("standing_robot", context=self._context)
        topic = camera.topic
        self._pictures = self._node.create_publisher(Image, topic, qos.RELIABLE)
        info = f"{topic.rpartition('/')[0]}/camera_info"
        self._infos = self._node.create_publisher(CameraInfo, info, qos.RELIABLE)
        self._joints = self._node.create_publisher(
            JointState, cell.joint_states.topic, qos.RELIABLE
        )
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()
        self._node.destroy_node()
        self._context.try_shutdown()

    def move_on(self):
        """Stand in the next posture, after the last one in the first again."""
        self._index = (self._index + 1) % len(self._views.items)

    def stand(self, joints):
        """Stand where the joints are so."""
        self._index = [view.joints for view in self._views.items].index(joints)

    def _run(self):
        count = 0
        while not self._end.wait(PERIOD):
            view = self._views.items[self._index]
            stamp = to_stamp(time.time_ns())
            earlier = to_stamp(time.time_ns() - round(self._stale * 1e9))
            positions = [q + self._trembles * (count % 2) for q in view.joints.values()]
            self._joints.publish(
                JointState(header=Header(stamp=earlier), name=list(view.joints), position=positions)
            )
            count += 1
            if count % EVERY == 0:
                self._see(view, stamp)

    def _see(self, view, stamp):
        height, width = view.pixels.shape[:2]
        header = Header(stamp=stamp, frame_id=self._camera.frame_id)
        picture = Image(header=header, height=height, width=width, encoding="rgb8", step=3 * width)
        picture.data = array.array("B", view.pixels.tobytes())
        self._pictures.publish(picture)
        info = self._views.camera_info
        self._infos.publish(CameraInfo(header=header, **info))
