"""Queries and mutations of organizations and API keys."""
