"""`labvla bench model`: how long the policy network takes, and how long it would have to."""
