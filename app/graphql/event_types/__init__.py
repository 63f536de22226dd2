"""Inputs, queries and mutations of event types."""
