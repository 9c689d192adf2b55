"""The engine that runs a LabVLA checkpoint on this machine."""
