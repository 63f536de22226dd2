"""Statements that write many rows at once, locks, and the search index."""
