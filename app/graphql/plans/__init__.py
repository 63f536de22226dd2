"""Queries answered by a plan: one statement for a root field, and a writer made for its rows."""
