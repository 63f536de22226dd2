import { Anchor, Table, Title } from "@mantine/core";
import type { ReactNode } from "react";
import { Link } from "react-router";
import { Time } from "../../common/time";
import { formatValue } from "../../common/values";
import { texts } from "../../texts";
import classes from "./Attributes.module.css";
import type { EventDetails } from ".";

const t = texts.event;

/** A link to the list of the events with the same value. */
function Filter({ name, value, children = value }: { name: string; value: string; children?: ReactNode }) {
  return <EventsLink view={{ [name]: value }}>{children}</EventsLink>;
}

const EventsLink = ({ view, children }: { view: Record<string, string>; children: ReactNode }) => (
  <Anchor component={Link} underline="always" fz="inherit" to={`/events?${new URLSearchParams(view)}`}>
    {children}
  </Anchor>
);

function Rows({ rows }: { rows: [string, ReactNode][] }) {
  return (
    <Table className={classes.table}>
      <Table.Tbody>
        {rows
          .filter(([, value]) => value !== null && value !== "" && value !== false)
          .map(([label, value]) => (
            <Table.Tr key={label}>
              <Table.Th scope="row">
                {label}
              </Table.Th>
              <Table.Td>{value}</Table.Td>
            </Table.Tr>
          ))}
      </Table.Tbody>
    </Table>
  );
}

export function Attributes({ event }: { event: EventDetails }) {
  const rows: [string, ReactNode][] = [
    [t.attributes.occurredAt, <Time at={event.occurredAt} />],
    [t.attributes.recordedAt, <Time at={event.recordedAt} />],
    [t.attributes.lastOccurredAt, event.occurrences > 1 && <Time at={event.lastOccurredAt} />],
    [t.attributes.occurrences, event.occurrences > 1 && event.occurrences],
    [
      t.attributes.type,
      <Filter name="type" value={event.type}>
        {event.eventType
          ? `${event.eventType.name} (${event.type}, ${t.version(event.eventTypeVersion)})`
          : event.type}
      </Filter>,
    ],
    [t.attributes.category, event.category && <Filter name="category" value={event.category} />],
    [
      t.attributes.entity,
      event.entity && (
        <EventsLink view={{ entity: event.entity.entityId, entityType: event.entity.type }}>
          {`${event.entity.type} ${event.entity.entityId}`}
        </EventsLink>
      ),
    ],
    [t.attributes.source, <Filter name="source" value={event.source} />],
    [t.attributes.sourceId, event.sourceId],
    [t.attributes.subject, event.subject],
    [t.attributes.outcome, event.outcome && t.outcomes[event.outcome]],
    [t.attributes.severityText, event.severityText],
    [
      t.attributes.tags,
      event.tags.length > 0 &&
        event.tags.map((tag, index) => (
          <span key={tag}>
            {index > 0 && ", "}
            <Filter name="tag" value={tag} />
          </span>
        )),
    ],
    [t.attributes.notification, event.notification ? texts.events.yes : texts.events.no],
    [
      t.attributes.silencedBy,
      event.silencedBy && (
        <>
          <Filter name="silencedBy" value={event.silencedBy.id}>
            {event.silencedBy.comment || texts.silences.noComment}
          </Filter>{" "}
          {t.until} <Time at={event.silencedBy.endsAt} />
        </>
      ),
    ],
    [t.attributes.status, event.status && texts.statuses[event.status]],
    [
      t.attributes.resolved,
      event.resolvedAt && (
        <>
          <Time at={event.resolvedAt} /> {t.by(event.resolvedBy)}
          {event.resolutionNote && <div>{event.resolutionNote}</div>}
        </>
      ),
    ],
    [
      t.attributes.acknowledged,
      event.acknowledgedAt && (
        <>
          <Time at={event.acknowledgedAt} /> {t.by(event.acknowledgedBy)}
          {event.acknowledgementNote && <div>{event.acknowledgementNote}</div>}
        </>
      ),
    ],
    [
      t.attributes.duplicateOf,
      event.duplicateOf && (
        <Anchor component={Link} underline="always" fz="inherit" to={`/events/${event.duplicateOf.id}`}>
          {event.duplicateOf.summary}
        </Anchor>
      ),
    ],
    [t.attributes.id, event.id],
  ];
  return <Rows rows={rows} />;
}

/** The custom values, with the labels and units of the event type if there is one. */
export function FieldValues({ event }: { event: EventDetails }) {
  const defined = new Set(event.fieldValues.map(({ name }) => name));
  const rows: [string, ReactNode][] = [
    ...event.fieldValues.map(({ label, value, unit }): [string, ReactNode] => [
      label,
      formatValue(value, unit),
    ]),
    ...Object.entries(event.fields as Record<string, unknown>)
      .filter(([name]) => !defined.has(name))
      .map(([name, value]): [string, ReactNode] => [name, formatValue(value)]),
  ];
  if (rows.length === 0) return null;
  return (
    <section aria-labelledby="event-fields">
      <Title order={2} size="h4" id="event-fields">
        {t.fields}
      </Title>
      <Rows rows={rows} />
    </section>
  );
}
