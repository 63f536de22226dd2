"""Callers, permissions, and the claims of access tokens."""
