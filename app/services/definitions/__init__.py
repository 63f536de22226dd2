"""Reading event types and rules: used by every service that judges events."""
