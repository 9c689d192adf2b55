"""Making a robot ready again after it stopped by itself: what is asked of its driver, in order."""
