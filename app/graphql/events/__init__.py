"""Inputs, queries and mutations of events."""
