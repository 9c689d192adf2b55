#!/bin/bash
# Sources whatever this image holds, then becomes the command: signals reach it, not a shell.
set -e
for setup in /opt/ros/jazzy /opt/franka/install /labvla/ros2_ws/install; do
  if [ -f "$setup/setup.bash" ]; then
    # shellcheck disable=SC1091
    source "$setup/setup.bash"
  fi
done
exec "$@"
