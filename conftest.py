"""Every test run has a ROS domain and a runtime folder of its own and meets nobody."""

import os
import tempfile

os.environ["ROS_DOMAIN_ID"] = str(20 + os.getpid() % 80)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="labvla-test-")
