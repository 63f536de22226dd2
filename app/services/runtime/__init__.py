"""Background tasks and health of a server process."""
