"""Reading event types and rules, for every service that validates events."""
