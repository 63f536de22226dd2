"""Inputs, queries and mutations of sources."""
