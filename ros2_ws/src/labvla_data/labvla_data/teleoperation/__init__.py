"""Teleoperation input: what people hold in their hands, as readings that all devices share."""
