"""Inputs, queries and mutations of each kind of rule."""
