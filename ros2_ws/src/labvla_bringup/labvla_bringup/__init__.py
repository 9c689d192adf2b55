"""What runs in a cell, and the command line that runs it."""
