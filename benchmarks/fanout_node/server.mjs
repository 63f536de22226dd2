// The Node server of `benchmarks/fanout.py`: graphql-ws's own server, with events in memory.
import { createServer } from "node:http";
import { randomUUID } from "node:crypto";
import { buildSchema, graphql } from "graphql";
import { useServer } from "graphql-ws/use/ws";
import { WebSocketServer } from "ws";

const schema = buildSchema(`
  enum Severity { ERROR WARN INFO SUCCESS }
  input EntityInput { type: String!, id: String! }
  type Entity { type: String!, entityId: String! }
  type Event {
    id: ID!, type: String!, severity: Severity!, summary: String!, source: String!
    occurredAt: String!, tags: [String!]!, entity: Entity
  }
  type NotificationEdge { cursor: String!, node: Event! }
  input EventFilter {
    severities: [Severity!], types: [String!], entity: EntityInput, source: String
  }
  input LogEventInput {
    type: String, severity: String, summary: String, source: String, tags: [String!]
    entity: EntityInput, notification: Boolean
  }
  type LogEventPayload { event: Event }
  type LogEventsPayload { results: [LogEventPayload!]! }
  type Query { ready: Boolean! }
  type Mutation { logEvents(input: [LogEventInput!]!): LogEventsPayload! }
  type Subscription { notificationAdded(filter: EventFilter): NotificationEdge! }
`);

const followers = new Set();
let written = 0;

function selects(filter, event) {
  return (
    (!filter?.severities || filter.severities.includes(event.severity)) &&
    (!filter?.types || filter.types.includes(event.type)) &&
    (!filter?.entity ||
      (event.entity?.type === filter.entity.type && event.entity.entityId === filter.entity.id)) &&
    (!filter?.source || filter.source === event.source)
  );
}

async function* notificationAdded({ filter }) {
  const waiting = [];
  let wake = null;
  const follower = (edge) => {
    waiting.push(edge);
    wake?.();
  };
  followers.add(follower);
  try {
    for (;;) {
      while (waiting.length) {
        const edge = waiting.shift();
        if (selects(filter, edge.node)) yield { notificationAdded: edge };
      }
      await new Promise((resolve) => (wake = resolve));
    }
  } finally {
    followers.delete(follower);
  }
}

function logEvents({ input }) {
  const results = input.map(({ entity, severity, ...given }) => {
    const event = {
      ...given,
      id: randomUUID(),
      severity: severity.toUpperCase(),
      occurredAt: new Date().toISOString(),
      entity: entity && { type: entity.type, entityId: entity.id },
    };
    const edge = { cursor: String(++written), node: event };
    for (const follower of followers) follower(edge);
    return { event };
  });
  return { results };
}

const server = createServer((request, response) => {
  let body = "";
  request.on("data", (part) => (body += part));
  request.on("end", async () => {
    const { query, variables } = JSON.parse(body);
    const answer = await graphql({
      schema,
      source: query,
      variableValues: variables,
      rootValue: { logEvents },
    });
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(answer));
  });
});
const sockets = new WebSocketServer({ server, path: "/graphql" });
useServer({ schema, roots: { subscription: { notificationAdded } } }, sockets);
server.listen(0, "127.0.0.1", 2048, () =>
  console.log(`Node is running at http://127.0.0.1:${server.address().port}/graphql`),
);
