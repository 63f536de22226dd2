"""Payloads of other systems, as reports of events."""
