"""Steps of every operation: document cache, limits, cost, admission, metrics, subscriptions."""
