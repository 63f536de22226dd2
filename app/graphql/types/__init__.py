"""GraphQL types that several modules use: objects, filters and user errors."""
