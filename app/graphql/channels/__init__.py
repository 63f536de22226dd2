"""Inputs, queries and mutations of channels."""
