"""Queries and subscriptions of the change log and of notifications."""
