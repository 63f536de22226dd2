"""Changing rules of each kind, and finding what they compare an event with."""
