"""Scripts that measure the project; see README.md here and docs/benchmarks.md for results."""
