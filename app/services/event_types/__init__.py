"""Changing event types, their fields, and their conditional rules."""
