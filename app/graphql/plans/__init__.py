"""Compiled operations: readers of the input, and writers of the response, which read the rows."""
