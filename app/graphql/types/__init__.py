"""GraphQL object types of all nouns, with the filters and errors that their fields take."""
