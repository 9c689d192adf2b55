"""From marks to visualization_msgs: shapes, colours, lifetimes, and what is taken away."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from labvla_policy.runtime.monitor.marks import Colour, Key, Mark, Shape
from labvla_policy.runtime.rotations import quaternion
from labvla_policy.runtime.types import Array

_TYPES = {
    Shape.BOX: Marker.CUBE,
    Shape.CYLINDER: Marker.CYLINDER,
    Shape.LINE: Marker.LINE_STRIP,
    Shape.SEGMENTS: Marker.LINE_LIST,
    Shape.SPHERES: Marker.SPHERE_LIST,
    Shape.TEXT: Marker.TEXT_VIEW_FACING,
}


def everything_away(frame: str) -> MarkerArray:
    """Return what takes every marker of the topic away."""
    return MarkerArray(markers=[Marker(header=Header(frame_id=frame), action=Marker.DELETEALL)])


def to_message(
    told: Sequence[Mark], gone: Sequence[Key], frame: str, lifetime: Duration
) -> MarkerArray:
    """Return one message: what is drawn, and what is taken away.

    Stamps are zero: a display then takes the newest transform it has, and needs none where it looks
    from the cell's own frame. What moves ends by itself after `lifetime`: a monitor that is killed
    leaves no plan standing in the picture.
    """
    header = Header(frame_id=frame, stamp=Time())
    drawn = [_marker(mark, header, lifetime) for mark in told]
    away = [
        Marker(header=header, ns=layer, id=number, action=Marker.DELETE) for layer, number in gone
    ]
    return MarkerArray(markers=[*drawn, *away])


def _marker(mark: Mark, header: Header, lifetime: Duration) -> Marker:
    x, y, z = (float(edge) for edge in mark.size)
    if mark.shape is Shape.TEXT:
        x, y, z = 0.0, 0.0, x  # a text's height is along z
    return Marker(
        header=header,
        ns=mark.layer,
        id=mark.number,
        type=_TYPES[mark.shape],
        action=Marker.ADD,
        pose=_pose(mark.pose),
        scale=Vector3(x=x, y=y, z=z),
        color=_colour(mark.colour),
        lifetime=Duration() if mark.stays else lifetime,
        points=[Point(x=float(a), y=float(b), z=float(c)) for a, b, c in mark.points],
        colors=[_colour(colour) for colour in mark.colours],
        text=mark.text,
    )


def _pose(pose: Array) -> Pose:
    a, b, c = (float(value) for value in pose[:3, 3])
    x, y, z, w = quaternion(np.asarray(pose[:3, :3]))
    return Pose(position=Point(x=a, y=b, z=c), orientation=Quaternion(x=x, y=y, z=z, w=w))


def _colour(colour: Colour) -> ColorRGBA:
    r, g, b, a = (float(value) for value in colour)
    return ColorRGBA(r=r, g=g, b=b, a=a)
