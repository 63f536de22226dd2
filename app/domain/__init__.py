"""Values and decisions, pure: no await, no clock, no SQL."""
