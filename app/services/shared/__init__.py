"""What the services of all nouns use."""
