"""What training does to a network: what learns, how fast, and with how much memory."""
