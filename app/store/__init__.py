"""The database: tables, connections, statements, the change log and migrations."""
