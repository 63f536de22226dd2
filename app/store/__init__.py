"""The database: how things lie in it. Decides nothing."""
