"""Timeouts of statements, locks and idle transactions, the same on all connections."""

LOCK_TIMEOUT_MS = 5_000
IDLE_TRANSACTION_TIMEOUT_MS = 60_000
STATEMENT_TIMEOUT_MS = 30_000
