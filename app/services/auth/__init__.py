"""Authentication: API keys, tokens, organizations, and rate limits."""
