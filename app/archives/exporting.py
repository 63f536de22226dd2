"""Export: writes events as CloudEvents, one per line, page by page."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from uuid import UUID

from app.archives.importing import INTERRUPTED
from app.archives.output import ExportOutput, OutputError
from app.domain.events.cloudevents import format_cloud_event, schema_url
from app.domain.events.filters import EventFilter
from app.domain.events.state import EventState
from app.domain.shared.values import format_instant
from app.services.events import archives
from app.store.engine.database import Database
from app.store.engine.database_errors import unavailable_reason


@dataclass
class ExportResult:
    """The number of events and the last cursor. `stop_reason` is set if the export is partial."""

    events: int
    cursor: str
    stop_reason: str | None = None


@dataclass(frozen=True)
class Exporter:
    """Exports events. `public_url` is the base of `dataschema`, which is omitted without it."""

    database: Database
    output: ExportOutput
    filter: EventFilter
    public_url: str | None
    patience_seconds: float = 30.0

    async def run(self, organization_id: UUID) -> ExportResult:
        """Writes all matching events.

        Raises RequestError INVALID_CURSOR or CURSOR_EXPIRED, and OutputError.
        """
        export_range = await archives.open_range(self.database, organization_id, self.output.after)
        result = ExportResult(0, export_range.encode_cursor(export_range.after))
        self.output.write(b"", result.cursor)
        pages = archives.fetch_pages(
            self.database, export_range, self.filter, self.patience_seconds
        )
        position = export_range.after
        try:
            async for page in pages:
                self.output.write(
                    b"".join(map(self._format_line, page.events)),
                    export_range.encode_cursor(page.position),
                )
                position = page.position
                result.events += len(page.events)
                result.cursor = export_range.encode_cursor(position)
            log_begins_at = export_range.snapshot.begins_at
            if position < export_range.until:
                result.stop_reason = (
                    "The export is incomplete: an open database transaction hides later events. "
                    "Continue the export after this transaction has ended"
                )
            elif self.output.after is None and log_begins_at is not None:
                begins_at = format_instant(log_begins_at)
                result.stop_reason = (
                    "The export is incomplete: the change log was pruned, and has no entries "
                    f"before {begins_at}"
                )
        except asyncio.CancelledError:
            result.stop_reason = INTERRUPTED
        except OutputError as error:
            result.stop_reason = str(error).removesuffix(".")
        except Exception as error:
            if (reason := unavailable_reason(error)) is None:
                raise
            result.stop_reason = reason.removesuffix(".")
        finally:
            await pages.aclose()
        return result

    def _format_line(self, event: EventState) -> bytes:
        schema = schema_url(self.public_url, event) if self.public_url else None
        cloud_event = format_cloud_event(event, schema)
        # In ASCII: some readers treat U+2028 and U+0085 as line ends.
        return json.dumps(cloud_event, separators=(",", ":")).encode() + b"\n"
