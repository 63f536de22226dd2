"""The append-only change log: entries, positions, and the reader that follows it."""
