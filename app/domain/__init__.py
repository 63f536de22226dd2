"""Pure values and rules: nothing here awaits, reads the clock or uses SQL."""
