"""Retention policies, and their application in the background."""
