"""Server processes: a single one that drains on shutdown, or several workers."""
