"""Compiled operations: one statement per root field of a query, and writers of its rows."""
