"""Channels: addresses to which notifications and changes are sent, and what is sent to them."""
