"""Recording of episodes, without ROS: what is kept, what is lost and how that is known."""
