"""`labvla bench control`: chunk streams through this controller and models of others."""
