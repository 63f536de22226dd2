// Who changed the event, when and how, newest first. Repeats show the values that each report had.

import { Anchor, Stack, Text, Timeline, Title } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link as RouterLink } from "react-router";
import { useApi, useApiQuery } from "../../api/client";
import {
  EventCorrelationsDocument,
  EventHistoryDocument,
  type EventHistoryQuery,
  type Outcome,
  type Relation,
  type Severity,
} from "../../api/generated";
import { isEqual } from "../../common/draft";
import { PagedList } from "../../common/PagedList";
import { formatAbsolute, Time, useTimePreferences } from "../../common/time";
import { formatValue } from "../../common/values";
import { texts } from "../../texts";

const t = texts.event;

type Entry = NonNullable<EventHistoryQuery["event"]>["history"]["nodes"][number];

interface Field {
  name: string;
  label: string;
  unit?: string | null;
}

interface Props {
  id: string;
  /** The custom fields that have labels. */
  fields: readonly Field[];
}

export function History({ id, fields }: Props) {
  const { client } = useApi();
  const pages = useInfiniteQuery({
    queryKey: ["history", { id }],
    queryFn: async ({ pageParam, signal }) =>
      (await client.request(EventHistoryDocument, { id, before: pageParam }, { signal })).event?.history,
    initialPageParam: null as string | null,
    getNextPageParam: (page) => (page?.pageInfo.hasPreviousPage ? page.pageInfo.startCursor : null),
  });
  const items = pages.data?.pages.flatMap((page) => [...(page?.nodes ?? [])].reverse());
  const { data: linked } = useApiQuery(EventCorrelationsDocument, { id, depth: 1 });
  const summaries = new Map(linked?.event?.correlations.nodes.map(({ event }) => [event.id, event.summary]));

  return (
    <section aria-labelledby="event-history">
      <Stack align="start">
        <Title order={2} size="h4" id="event-history">
          {t.history}
        </Title>
        <PagedList pages={{ ...pages, items }} empty={null}>
          {(entries) => (
            <Timeline bulletSize={14} lineWidth={2} w="100%">
              {entries.map((entry) => (
                <Timeline.Item key={entry.cursor} title={t.kinds[entry.kind]}>
                  <Text size="sm">
                    <Time at={entry.at} /> {t.by(entry.actor)}
                  </Text>
                  <Changes entry={entry} fields={fields} summaries={summaries} />
                </Timeline.Item>
              ))}
            </Timeline>
          )}
        </PagedList>
      </Stack>
    </section>
  );
}

interface Link {
  eventId: string;
  relation: Relation;
}

// The entry itself says when and by whom an event was acknowledged or resolved.
const OMITTED = new Set([
  "acknowledged",
  "acknowledgedAt",
  "acknowledgedBy",
  "resolvedAt",
  "resolvedBy",
  "updatedAt",
  "version",
]);

/** Names of the attributes, as on the rest of the page. */
const NAMES: Record<string, string> = {
  ...t.attributes,
  summary: texts.form.summary,
  severity: texts.form.severity,
  content: t.content,
  fields: t.fields,
};
const nameOf = (name: string): string => (Object.hasOwn(NAMES, name) ? NAMES[name]! : name);

interface ChangesProps {
  entry: Entry;
  fields: readonly Field[];
  /** Summaries of the events that are still linked, by ID. */
  summaries: ReadonlyMap<string, string>;
}

/** What an entry changed: for a repeat, the values of the report. */
function Changes({ entry, fields, summaries }: ChangesProps) {
  const [{ isUtc }] = useTimePreferences();
  const { report, correlations, ...changes } = entry.changes as Record<string, unknown>;
  const isWhole = entry.kind === "LOGGED" || entry.kind === "DELETED";
  const lines = Object.entries(isWhole ? {} : changes)
    .filter(([name]) => !OMITTED.has(name))
    .flatMap(([name, value]) => describeChange(name, value, fields, isUtc));
  const reported = Object.entries((report ?? {}) as Record<string, unknown>).flatMap(([name, value]) =>
    describeChange(name, value, fields, isUtc),
  );
  return (
    <>
      {(correlations as Link[][] | undefined)?.flat().map(({ eventId, relation }) => (
        <Text key={eventId} size="sm" c="dimmed">
          {t.relations[relation]}{" "}
          <Anchor component={RouterLink} underline="always" fz="inherit" to={`/events/${eventId}`}>
            {summaries.get(eventId) ?? eventId}
          </Anchor>
        </Text>
      ))}
      {[...lines, ...reported].map((line) => (
        <Text key={line} size="sm" c="dimmed">
          {line}
        </Text>
      ))}
    </>
  );
}

/** A value or a pair of the values before and after, in a line; for custom fields, a line for each that differs. */
function describeChange(name: string, value: unknown, fields: readonly Field[], isUtc: boolean): string[] {
  const isPair = Array.isArray(value) && value.length === 2;
  const join = (values: string[]) => values.map((each) => each || t.nothing).join(" → ");
  if (name !== "fields") {
    return [`${nameOf(name)}: ${isPair ? join(value.map((each) => formatPart(name, each, isUtc))) : formatPart(name, value, isUtc)}`];
  }
  const states = (isPair ? value : [value]).map((each) => (each ?? {}) as Record<string, unknown>);
  const names = [...new Set(states.flatMap(Object.keys))];
  return names
    .filter((each) => !isPair || !isEqual(states[0]![each], states[1]![each]))
    .map((each) => {
      const { label, unit } = fields.find((field) => field.name === each) ?? { label: each };
      const values = states.map((state) => state[each] ?? null);
      return `${label}: ${join(values.map((part) => (part === null ? "" : formatField(part, unit, isUtc))))}`;
    });
}

const formatField = (value: unknown, unit: string | null | undefined, isUtc: boolean): string =>
  typeof value === "string" && !unit ? formatPart("", value, isUtc) : formatValue(value, unit);

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

/** A value as text: an instant in the format of the reader, a severity or an outcome by its name. */
function formatPart(name: string, value: unknown, isUtc: boolean): string {
  if (name === "entity" && value) {
    const { type, id } = value as { type: string; id: string };
    return `${type} ${id}`;
  }
  if (typeof value !== "string") return formatValue(value);
  if (INSTANT.test(value)) return formatAbsolute(new Date(value), isUtc);
  if (name === "severity") return texts.severities[value as Severity] ?? value;
  if (name === "outcome") return t.outcomes[value as Outcome] ?? value;
  return value;
}
