"""Following the change log: feed, broadcast, notifications, history, pruning."""
