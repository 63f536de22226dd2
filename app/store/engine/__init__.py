"""Connections to the database: engines, sessions, row readers, and wake-ups."""
