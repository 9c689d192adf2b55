"""`labvla bench control`: chunk streams through this controller and through models of the others."""
