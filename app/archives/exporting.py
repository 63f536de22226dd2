"""Export: writes events, or entries of the change log, page by page."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.archives.formats import Encoder
from app.archives.importing import INTERRUPTED
from app.archives.output import ExportOutput, OutputError
from app.domain.shared.values import format_instant
from app.services.events import archives
from app.services.events.archives import ExportSource, PrunedMeanwhileError
from app.store.change_log.changes import LogPosition
from app.store.engine.database import Database
from app.store.engine.database_errors import unavailable_reason


@dataclass
class ExportResult:
    """The number of objects and the last cursor. `stop_reason` is set if the export is partial."""

    objects: int
    cursor: str
    stop_reason: str | None = None


@dataclass(frozen=True)
class Exporter:
    database: Database
    output: ExportOutput
    source: ExportSource[Any]
    encoder: Encoder
    patience_seconds: float = 30.0

    async def run(self, organization_id: UUID) -> ExportResult:
        """Writes all objects of the source.

        Raises RequestError INVALID_CURSOR or CURSOR_EXPIRED, and OutputError.
        """
        export_range = await archives.open_range(self.database, organization_id, self.output.after)
        result = ExportResult(0, export_range.encode_cursor(export_range.start))
        start = self.encoder.start()
        self.output.write(b"" if self.output.is_continued else start, result.cursor)
        pages = archives.fetch_pages(
            self.database, export_range, self.source, self.patience_seconds
        )
        position = export_range.start
        try:
            async for page in pages:
                encoded = self.encoder.encode(page.objects)
                self.output.write(encoded, export_range.encode_cursor(page.position))
                position = page.position
                result.objects += len(page.objects)
                result.cursor = export_range.encode_cursor(position)
            log_begins_at = export_range.snapshot.begins_at
            if isinstance(position, LogPosition) and position < export_range.until:
                result.stop_reason = (
                    "The export is incomplete: an open database transaction hides later events. "
                    "Continue the export after this transaction has ended"
                )
            elif self.output.after is None and log_begins_at and not self.source.reads_events:
                begins_at = format_instant(log_begins_at)
                result.stop_reason = (
                    "The export is incomplete: the change log was pruned, and has no entries "
                    f"before {begins_at}"
                )
        except PrunedMeanwhileError:
            result.stop_reason = (
                "The export is incomplete: the change log was pruned during the export. Export to "
                "a new file"
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
        try:  # a partial file can be read, too
            self.output.write(self.encoder.finish(), result.cursor)
        except OutputError as error:
            result.stop_reason = result.stop_reason or str(error).removesuffix(".")
        return result
