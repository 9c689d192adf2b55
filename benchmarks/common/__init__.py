"""What all benchmarks share: the result as JSON, machine and versions, tables."""
