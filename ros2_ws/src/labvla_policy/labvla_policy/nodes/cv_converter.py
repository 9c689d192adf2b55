"""Rarer pixel formats (YUV, Bayer, 16 bits) by way of cv_bridge, where that is installed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.streams.image import ImageMessage
from labvla_policy.runtime.types import Pixels


def cv_bridge_converter() -> Callable[[ImageMessage], Pixels] | None:
    """Return what converts pictures into 8-bit red, green and blue; None without cv_bridge."""
    try:
        from cv_bridge import CvBridge, CvBridgeError
    except ImportError:
        return None
    bridge = CvBridge()

    def convert(message: ImageMessage) -> Pixels:
        try:
            pixels = np.asarray(bridge.imgmsg_to_cv2(message, desired_encoding="rgb8"))
        except (CvBridgeError, TypeError, ValueError, RuntimeError) as error:
            raise Refused(
                Refusal(
                    "image_encoding",
                    f"cv_bridge cannot make colours of {message.encoding}: {error}",
                )
            ) from None
        pixels.flags.writeable = False
        return pixels

    return convert
