"""Checkpoint folders: found, read, checked, written. Only safetensors and JSON, never pickles."""
