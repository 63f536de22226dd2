"""Readers of the change log: feed, broadcast, notifications, history, pruning."""
