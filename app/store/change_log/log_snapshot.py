"""What a moment is of, as columns that any statement may have beside its own."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlmodel import col

from app.store.tables import METADATA, Log
from app.store.tables.columns import Horizon

# A place counts over all organizations: by its bare column, which no scope narrows.
_SEQ = METADATA.tables["change"].c.seq
_LAST = select(func.coalesce(func.max(_SEQ), 0)).scalar_subquery()
PRUNED = col(Log.pruned_tx), col(Log.pruned_seq)
MOMENT = (col(Log.epoch), Horizon(), _LAST, *PRUNED, col(Log.begins_at))
