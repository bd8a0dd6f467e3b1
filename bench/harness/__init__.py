"""What all benchmarks share: dumps, the machine, timing, signals."""
