"""What Golub takes of a machine: `python -m benchmarks` measures it, against the goals that are set for it."""
