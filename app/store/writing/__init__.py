"""Insertion of rows, and the search index."""
