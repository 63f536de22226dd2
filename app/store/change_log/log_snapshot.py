"""Columns that make a `LogSnapshot`. A page query can select them, so that its cursors need no
second statement.
"""

from __future__ import annotations

from sqlalchemy import func, select
from sqlmodel import col

from app.store.tables import METADATA, Log
from app.store.tables.columns import Horizon, SnapshotEnd, Timeline

# Sequences count over all organizations: the bare column, to which no scope is added.
_SEQUENCE = METADATA.tables["change"].c.seq
_LAST_SEQUENCE = select(func.coalesce(func.max(_SEQUENCE), 0)).scalar_subquery()
PRUNED_COLUMNS = col(Log.pruned_tx), col(Log.pruned_seq)
SNAPSHOT_COLUMNS = (
    col(Log.epoch),
    Timeline(),
    Horizon(),
    SnapshotEnd(),
    _LAST_SEQUENCE,
    *PRUNED_COLUMNS,
    col(Log.begins_at),
)
