"""Helpers used by the services of all nouns."""
