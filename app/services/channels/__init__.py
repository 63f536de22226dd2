"""Channels: changing them, and delivering notifications and changes to their addresses."""
