"""Whether a window can be opened here. Imports nothing that needs one."""

from __future__ import annotations

import os


def why_no_window() -> str:
    """Return what keeps a window from being opened; empty if nothing does."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return (
            "a window needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set: start it "
            "from a desktop, over `ssh -X`, or leave --window out"
        )
    try:
        import glfw
    except ImportError as error:
        return f"a window needs GLFW, which cannot be loaded: {error}"
    glfw.ERROR_REPORTING = "ignore"  # the answer is what counts
    if not glfw.init():
        display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        return f"a window cannot be opened on the display {display}: is it there, and allowed?"
    glfw.terminate()
    return ""
