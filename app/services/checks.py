"""What a report would lead to, without reporting."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.intake import Desk, Draft, Refused
from app.domain.visibility import settle
from app.services import receipts
from app.services.events import Report, met, report_of
from app.services.verdicts import registered
from app.store.database import Database


@dataclass(frozen=True)
class Check:
    """`visible`, `required`: names of the registered type's fields, in form order."""

    report: Report
    visible: tuple[str, ...] = ()
    required: tuple[str, ...] = ()


async def check_event(database: Database, desk: Desk, draft: Draft) -> Check:
    """Judges a draft as `log_events` would, and stores nothing."""
    key = receipts.key_of(draft, desk)
    async with database.read(desk.reporter.organization_id) as session:
        known = await registered(session, desk, [draft], hold=False)
        receipt = None if key is None else (await receipts.kept(session, {key})).get(key)
        rows = {} if receipt is None else await met(session, {receipt.event_id})
    verdict = known.verdict(draft, desk)
    if receipt is not None:
        report = report_of(draft, verdict, receipt, rows)
    elif isinstance(verdict, Refused):
        report = Report(problems=verdict.problems)
    else:
        report = Report(warnings=verdict.warnings)
    spec = known.type_of(draft)
    if spec is None:
        return Check(report)
    values = draft.fields if isinstance(draft.fields, dict) else {}
    settled = settle(spec.fields, spec.rules, values)
    return Check(report, settled.visible, settled.required)
