"""Values in nested objects and lists are indexed.

`store.data_migrations` indexes the values of stored events that have objects or lists.
"""

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Changes no table."""
