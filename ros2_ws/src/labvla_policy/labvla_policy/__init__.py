"""Everything between camera and action chunk."""
