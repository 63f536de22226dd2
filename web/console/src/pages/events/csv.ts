// Exports the events of a view as CSV.

import type { TocsinClient } from "@tocsin/client";
import { type EventFilter, type EventOrder, ExportPageDocument, type ExportPageQuery } from "../../api/generated";

type Exported = ExportPageQuery["events"]["nodes"][number];

/** Maximum number of events of an export. `tocsin export` has no maximum. */
export const MAX_EXPORTED = 10_000;

const COLUMNS: [string, (event: Exported) => unknown][] = [
  ["id", (event) => event.id],
  ["occurredAt", (event) => event.occurredAt],
  ["recordedAt", (event) => event.recordedAt],
  ["severity", (event) => event.severity],
  ["type", (event) => event.type],
  ["summary", (event) => event.summary],
  ["source", (event) => event.source],
  ["subject", (event) => event.subject],
  ["entityType", (event) => event.entity?.type],
  ["entityId", (event) => event.entity?.entityId],
  ["outcome", (event) => event.outcome],
  ["tags", (event) => event.tags.join(" ")],
  ["occurrences", (event) => event.occurrences],
  ["lastOccurredAt", (event) => event.lastOccurredAt],
  ["acknowledgedAt", (event) => event.acknowledgedAt],
  ["acknowledgedBy", (event) => event.acknowledgedBy],
  ["status", (event) => event.status],
  ["resolvedAt", (event) => event.resolvedAt],
  ["resolvedBy", (event) => event.resolvedBy],
];

/** Loads the events page by page. `onProgress` gets the number of loaded events. */
export async function loadEvents(
  client: TocsinClient,
  filter: EventFilter,
  orderBy: EventOrder,
  onProgress: (count: number) => void,
  signal: AbortSignal,
): Promise<Exported[]> {
  const events: Exported[] = [];
  let after: string | null = null;
  do {
    const page: ExportPageQuery = await client.request(
      ExportPageDocument,
      { filter, orderBy, after },
      { signal },
    );
    events.push(...page.events.nodes);
    onProgress(events.length);
    after = page.events.pageInfo.hasNextPage ? page.events.pageInfo.endCursor : null;
  } while (after !== null && events.length < MAX_EXPORTED);
  return events;
}

/** Returns the events as CSV (RFC 4180), with a column for each custom field. */
export function formatCsv(events: readonly Exported[]): string {
  const fields = [...new Set(events.flatMap((event) => Object.keys(event.fields)))].sort();
  const header = [...COLUMNS.map(([name]) => name), ...fields.map((name) => `fields.${name}`)];
  const rows = events.map((event) => [
    ...COLUMNS.map(([, valueOf]) => valueOf(event)),
    ...fields.map((name) => event.fields[name]),
  ]);
  return [header, ...rows].map((row) => `${row.map(formatCell).join(",")}\r\n`).join("");
}

function formatCell(value: unknown): string {
  if (value === null || value === undefined) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  // A spreadsheet would evaluate a string that begins like a formula.
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function download(name: string, content: string, type: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
