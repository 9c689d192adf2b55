"""The whole stack at work for minutes: pace, rates, memory, processor time, every message."""
