"""What tests and benchmarks share: tables, fits, families, the page's core."""
