"""Connections to the database: engines, sessions, raw readers, and wake-ups."""
