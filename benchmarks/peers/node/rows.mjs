// The rows that Tocsin writes on SQLite for a new event of a registered type with flat fields.
// mercurius.mjs inserts them. It checks no fields, and nothing but the source ID for duplicates.
import { createHash, randomFillSync } from "node:crypto";

// Columns by table, in the order of the references between the tables.
export const COLUMNS = {
  receipt: [
    "organization_id",
    "source",
    "source_id",
    "digest",
    "event_id",
    "version",
  ],
  event: [
    ...[
      "organization_id",
      "id",
      "type",
      "event_type_id",
      "event_type_version",
      "category",
    ],
    ...[
      "severity",
      "severity_text",
      "summary",
      "summary_given",
      "source",
      "source_id",
    ],
    ...[
      "occurred_at",
      "recorded_at",
      "updated_at",
      "fields",
      "tags",
      "occurrences",
    ],
    ...["notification", "version"],
  ],
  change: [
    ...[
      "organization_id",
      "subject",
      "subject_id",
      "kind",
      "at",
      "actor",
      "notifies",
    ],
    ...["changes", "state"],
  ],
  event_tag: ["organization_id", "event_id", "tag"],
  event_words: ["organization_id", "event_id", "words", "version"],
  event_value: [
    "organization_id",
    "event_id",
    "field",
    "ordinal",
    "number",
    "head",
    "tail",
    "truth",
  ],
};

const HEAD_LENGTH = 200;
const EMPTY_STATE = Object.fromEntries(
  [
    ...[
      "entity",
      "content",
      "subject",
      "outcome",
      "duplicateOfId",
      "lastOccurredAt",
    ],
    ...[
      "acknowledgedAt",
      "acknowledgedBy",
      "acknowledgementNote",
      "alertKey",
      "resolvedAt",
    ],
    ...[
      "resolvedBy",
      "resolutionNote",
      "silencedById",
      "extensions",
      "payload",
    ],
  ].map((name) => [name, null]),
);

/**
 * The ID of the event of a report, and its rows by table.
 */
export function buildRows(report, type, actor, owner) {
  const id = createId();
  const organization_id = owner.replaceAll("-", "");
  const event_id = id.replaceAll("-", "");
  const now = `${new Date().toISOString().slice(0, -1)}000Z`;
  const at = now.replace("Z", "+00:00");
  const severity = report.severity.toUpperCase();
  const { summary, source, sourceId, fields, tags } = report;
  const event = {
    ...{
      organization_id,
      id: event_id,
      type: report.type,
      event_type_id: type.key,
    },
    ...{ event_type_version: type.version, category: type.category, severity },
    ...{
      severity_text: report.severity,
      summary,
      summary_given: 1,
      source,
    },
    ...{
      source_id: sourceId,
      occurred_at: at,
      recorded_at: at,
      updated_at: at,
    },
    ...{ fields: JSON.stringify(fields), tags: JSON.stringify(tags), occurrences: 1 },
    ...{ notification: 0, version: 1 },
  };
  const state = {
    ...EMPTY_STATE,
    ...{
      id,
      type: report.type,
      severity,
      summary,
      source,
      occurredAt: now,
      recordedAt: now,
    },
    ...{ updatedAt: now, eventTypeId: type.id, eventTypeVersion: type.version },
    ...{
      category: type.category,
      sourceId,
      fields,
      tags,
      occurrences: 1,
      notification: false,
    },
    ...{ version: 1, severityText: report.severity, summaryGiven: true },
  };
  const digest = createHash("sha256")
    .update(JSON.stringify(report))
    .digest("hex");
  const words =
    summary
      .normalize("NFKC")
      .toLowerCase()
      .match(/[\p{L}\p{N}]+/gu) ?? [];
  const mark = `@2@${organization_id}`;
  return {
    id,
    receipt: [
      {
        organization_id,
        source,
        source_id: sourceId,
        digest,
        event_id,
        version: 2,
      },
    ],
    event: [event],
    change: [
      {
        ...{
          organization_id,
          subject: "event",
          subject_id: event_id,
          kind: "LOGGED",
          at,
          actor,
        },
        ...{
          notifies: 0,
          changes: JSON.stringify({}),
          state: JSON.stringify(state),
        },
      },
    ],
    event_tag: tags.map((tag) => ({ organization_id, event_id, tag })),
    event_words: [
      {
        organization_id,
        event_id,
        words: [...new Set([mark, ...words])].map(token).sort().join(" "),
        version: 2,
      },
    ],
    event_value: Object.entries(fields).map(([field, value]) => ({
      ...{ organization_id, event_id, field, ordinal: 0 },
      number: typeof value === "number" ? value : null,
      head: typeof value === "string" ? value.slice(0, HEAD_LENGTH) : null,
      tail: typeof value === "string" ? value.slice(HEAD_LENGTH) : null,
      truth: typeof value === "boolean" ? Number(value) : null,
    })),
  };
}

// A word as a token of the search index.
function token(word) {
  const encode = (text) => String.fromCharCode(0xe000 + text.charCodeAt(0));
  return `a${word.replaceAll(/[\x00-\x7f]/g, (each) => (/[a-z0-9]/i.test(each) ? each : encode(each)))}`;
}

// A UUID of version 7: they are stored in the order of time, as those of Tocsin.
function createId() {
  const bytes = randomFillSync(Buffer.alloc(16));
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return dashed(bytes.toString("hex"));
}

export function dashed(id) {
  return [
    id.slice(0, 8),
    id.slice(8, 12),
    id.slice(12, 16),
    id.slice(16, 20),
    id.slice(20),
  ].join("-");
}
