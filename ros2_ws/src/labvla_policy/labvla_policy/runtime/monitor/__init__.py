"""What people see of a running cell, as marks in the cell's own frame. Nothing of ROS in here."""
