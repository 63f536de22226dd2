"""Alembic's room: `env.py` runs the steps in versions/. A step imports nothing of Tocsin."""
