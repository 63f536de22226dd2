"""Events as CloudEvents, a line each, page by page."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from uuid import UUID

from app.archives.importing import INTERRUPTED
from app.archives.output import Output, OutputError
from app.domain.events.cloudevents import schema_address, write_cloud_event
from app.domain.events.filters import EventFilter
from app.domain.events.state import EventState
from app.domain.shared.values import write_instant
from app.services.events import archives
from app.store.engine.database import Database
from app.store.engine.dialect import why_unavailable


@dataclass
class Exported:
    """How far it has come. `broken`: why it is not all."""

    events: int
    cursor: str
    broken: str | None = None


@dataclass(frozen=True)
class Export:
    """`public_url` is where the definitions of event types are; without it, none are named."""

    database: Database
    output: Output
    filter: EventFilter
    public_url: str | None
    patience_seconds: float = 30.0

    async def run(self, organization_id: UUID) -> Exported:
        """Writes them all. RequestError INVALID_CURSOR, CURSOR_EXPIRED; OutputError."""
        course = await archives.begin(self.database, organization_id, self.output.after)
        done = Exported(0, course.cursor(course.after))
        self.output.write(b"", done.cursor)
        pages = archives.pages(self.database, course, self.filter, self.patience_seconds)
        place = course.after
        try:
            async for page in pages:
                self.output.write(b"".join(map(self._line, page.events)), course.cursor(page.place))
                place = page.place
                done.events += len(page.events)
                done.cursor = course.cursor(place)
            begins = course.moment.begins_at
            if place < course.until:
                done.broken = "Not all: an open transaction holds up what was logged after it"
            elif self.output.after is None and begins is not None:
                done.broken = f"Not all: the log was pruned, and begins at {write_instant(begins)}"
        except asyncio.CancelledError:
            done.broken = INTERRUPTED
        except OutputError as error:
            done.broken = str(error).removesuffix(".")
        except Exception as error:
            if (why := why_unavailable(error)) is None:
                raise
            done.broken = why.removesuffix(".")
        finally:
            await pages.aclose()
        return done

    def _line(self, event: EventState) -> bytes:
        schema = schema_address(self.public_url, event) if self.public_url else None
        written = write_cloud_event(event, schema)
        # In ASCII: some readers take U+2028 and U+0085 for ends of lines.
        return json.dumps(written, separators=(",", ":")).encode() + b"\n"
