"""Callers, permissions, and the claims of tokens."""
