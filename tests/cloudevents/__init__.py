"""The senders: CloudEvents' SDKs for Python and, in `send.mjs`, for JavaScript."""
