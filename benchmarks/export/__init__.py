"""How fast recordings become datasets: `labvla export` against a straightforward converter."""
