"""Inputs, queries and mutations of guard rules and duplication rules."""
