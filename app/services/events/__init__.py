"""Reporting, changing, finding, counting, correlating and exporting events."""
