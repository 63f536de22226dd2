"""Validation of reports: each becomes an event, or is rejected with its problems."""
