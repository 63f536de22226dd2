"""Alembic migrations: `env.py` runs those in versions/. They import nothing of Tocsin."""
