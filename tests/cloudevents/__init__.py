"""Senders: the CloudEvents SDKs for Python and, in `send.mjs`, for JavaScript."""
