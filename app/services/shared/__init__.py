"""Helpers shared by all services."""
