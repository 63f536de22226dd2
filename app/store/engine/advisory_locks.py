"""Keys of the advisory locks on PostgreSQL: arbitrary, but the same in every version.

Besides these, the definitions of an organization are locked by a key from its ID. Locks with one
key and locks with two keys do not conflict.
"""

# One key.
MIGRATION_LOCK = 0x70C51
SERVING_LOCK = 0x70C52

# The first of two keys. The second is the change log's table, because a database can hold several
# installations, each in a schema of its own.
LOG_WRITER_LOCK_CLASS = 0x70C52

# Triggers of the table of events use 0x70C53 as the first of two keys. The second is a shard of the
# counters (migration 0039).
