"""Statements that read pages of rows, with their filters and cursors."""
