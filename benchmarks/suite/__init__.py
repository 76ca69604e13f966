"""Each module here is a benchmark, by its own name. `benchmarks.frame` says what it must have."""
