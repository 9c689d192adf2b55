"""Things that answer an observation with a prediction. None of them knows ROS."""
