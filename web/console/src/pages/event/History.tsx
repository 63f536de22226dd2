// Who changed the event, when and how, newest first. Repeats show the values that each report had.

import { Anchor, Stack, Text, Timeline, Title } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link as RouterLink } from "react-router";
import { useApi } from "../../api/client";
import { EventHistoryDocument, type EventHistoryQuery, type Outcome, type Relation, type Severity } from "../../api/generated";
import { PagedList } from "../../common/PagedList";
import { formatAbsolute, Time, useTimePreferences } from "../../common/time";
import { formatValue } from "../../common/values";
import { texts } from "../../texts";

const t = texts.event;

type Entry = NonNullable<EventHistoryQuery["event"]>["history"]["nodes"][number];

export function History({ id }: { id: string }) {
  const { client } = useApi();
  const pages = useInfiniteQuery({
    queryKey: ["history", { id }],
    queryFn: async ({ pageParam, signal }) =>
      (await client.request(EventHistoryDocument, { id, before: pageParam }, { signal })).event?.history,
    initialPageParam: null as string | null,
    getNextPageParam: (page) => (page?.pageInfo.hasPreviousPage ? page.pageInfo.startCursor : null),
  });
  const items = pages.data?.pages.flatMap((page) => [...(page?.nodes ?? [])].reverse());

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
                  <Changes entry={entry} />
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

/** What an entry changed: for a repeat, the values of the report. */
function Changes({ entry }: { entry: Entry }) {
  const [{ isUtc }] = useTimePreferences();
  const { report, correlations, ...changes } = entry.changes as Record<string, unknown>;
  const lines =
    entry.kind === "LOGGED" || entry.kind === "DELETED"
      ? []
      : Object.entries(changes)
          .filter(([name]) => !OMITTED.has(name))
          .map(([name, value]) => `${nameOf(name)}: ${formatChange(name, value, isUtc)}`);
  const reported = Object.entries((report ?? {}) as Record<string, unknown>).map(
    ([name, value]) => `${nameOf(name)}: ${formatPart(name, value, isUtc)}`,
  );
  return (
    <>
      {(correlations as Link[][] | undefined)?.flat().map(({ eventId, relation }) => (
        <Text key={eventId} size="sm" c="dimmed">
          {t.relations[relation]}{" "}
          <Anchor component={RouterLink} underline="always" fz="inherit" to={`/events/${eventId}`}>
            {eventId}
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

function formatChange(name: string, value: unknown, isUtc: boolean): string {
  if (!Array.isArray(value) || value.length !== 2) return formatPart(name, value, isUtc);
  const [before, after] = value.map((each) => formatPart(name, each, isUtc) || t.nothing);
  return `${before} → ${after}`;
}

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

/** A value as text: an instant in the format of the reader, a severity or an outcome by its name. */
function formatPart(name: string, value: unknown, isUtc: boolean): string {
  if (typeof value !== "string") return formatValue(value);
  if (INSTANT.test(value)) return formatAbsolute(new Date(value), isUtc);
  if (name === "severity") return texts.severities[value as Severity] ?? value;
  if (name === "outcome") return t.outcomes[value as Outcome] ?? value;
  return value;
}
