"""Changing guard rules and duplication rules."""
