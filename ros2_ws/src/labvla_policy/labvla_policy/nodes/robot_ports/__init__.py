"""Faces of the robots' drivers, spoken with the messages of their makers."""
