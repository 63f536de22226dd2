"""What every operation passes: document cache, limits, cost, admission, metrics."""
