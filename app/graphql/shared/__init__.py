"""What the GraphQL modules of all nouns use: context, pages, scalars, permissions."""
