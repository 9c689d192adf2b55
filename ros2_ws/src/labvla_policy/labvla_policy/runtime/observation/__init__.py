"""From rings of messages to one observation: which samples, in which layout, with which hash."""
