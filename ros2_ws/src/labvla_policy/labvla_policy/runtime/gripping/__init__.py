"""From gripper targets on the plan's timeline to goals of the gripper's own driver."""
