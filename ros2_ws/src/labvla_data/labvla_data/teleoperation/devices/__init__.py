"""One module a device; `labvla_data.teleoperation.reading.Device` is what they have in common."""
