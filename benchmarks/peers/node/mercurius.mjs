// mercurius with its JIT and loaders, on the same tables, with hand-written prepared SQL. It checks no
// key. TOCSIN_DATABASE_URL is the database, ORGANIZATION_ID the organization of the events, ACTOR the
// name of who logs them.
import Database from "better-sqlite3";
import fastify from "fastify";
import mercurius from "mercurius";
import pg from "pg";
import { createFunctions } from "./functions.mjs";
import { buildRows, COLUMNS, dashed } from "./rows.mjs";

const url = process.env.TOCSIN_DATABASE_URL;
const sqlite = url.startsWith("sqlite:///");
const organization = process.env.ORGANIZATION_ID;
const actor = process.env.ACTOR;
const owner = sqlite ? organization.replaceAll("-", "") : organization;

const schema = `
  type EventField { name: String! kind: String! label: String! required: Boolean! unit: String }
  type EventType {
    id: ID! type: String! name: String! category: String! fields: [EventField!]!
  }
  scalar JSON
  type Event {
    id: ID! type: String! severity: String! summary: String! source: String! occurredAt: String!
    tags: [String!]! fields: JSON! eventType: EventType
  }
  type EventConnection { nodes: [Event!]! totalCount: Int! }
  "Filters \`totalCount\` only, which is all that is measured."
  input EventFilter { source: String }
  type Query {
    events(first: Int = 20, after: String, filter: EventFilter): EventConnection!
    event(id: ID!): Event
  }
  input LogEventInput {
    type: String! severity: String! summary: String! source: String! sourceId: String!
    tags: [String!]! fields: JSON!
  }
  type LogEventPayload { event: Event }
  type LogEventsPayload { results: [LogEventPayload!]! }
  type Mutation {
    logEvent(input: LogEventInput!): LogEventPayload!
    logEvents(input: [LogEventInput!]!): LogEventsPayload!
  }
`;

const EVENTS = `SELECT id, type, severity, summary, source, occurred_at AS "occurredAt", tags, fields,
  event_type_id AS "eventTypeId", source_id AS "sourceId" FROM`;
const EVENT = `${EVENTS} event WHERE organization_id = $1`;
const SQL = {
  first: `${EVENT} ORDER BY occurred_at DESC, id DESC LIMIT $2`,
  after: `${EVENT} AND (occurred_at, id) < ($2, $3) ORDER BY occurred_at DESC, id DESC LIMIT $4`,
  event: `${EVENT} AND id = $2`,
  repeated: `${EVENT} AND id = (SELECT event_id FROM receipt
    WHERE organization_id = $2 AND source = $3 AND source_id = $4)`,
  count: "SELECT count(*) AS count FROM event WHERE organization_id = $1",
  filtered: "SELECT count(*) AS count FROM event WHERE organization_id = $1 AND source = $2",
  types: `SELECT id, type, name, category FROM event_type WHERE id ${among("$1")}`,
  named: `SELECT id, type, version, category FROM event_type
    WHERE organization_id = $1 AND type ${among("$2")}`,
  fields: `SELECT event_type_id AS "eventTypeId", name, kind, label, required, unit
    FROM event_field WHERE event_type_id ${among("$1")} ORDER BY event_type_id, position`,
};

function among(list) {
  return sqlite
    ? `IN (SELECT value FROM json_each(${list}))`
    : `= ANY(${list}::uuid[])`;
}

function onSqlite() {
  const database = new Database(url.slice("sqlite:///".length));
  database.pragma("synchronous = FULL"); // as Tocsin: a commit survives a power failure
  const statements = {};
  for (const [name, sql] of Object.entries(SQL))
    statements[name] = database.prepare(sql.replaceAll(/\$\d/g, "?"));
  const inserts = Object.entries(COLUMNS).map(([table, columns]) => {
    const values = columns.map((name) => `@${name}`);
    const conflict = table === "receipt" ? "ON CONFLICT DO NOTHING" : "";
    return [
      table,
      database.prepare(
        `INSERT INTO ${table} (${columns}) VALUES (${values}) ${conflict}`,
      ),
    ];
  });
  // Returns the event of the report, or nothing if there is one with its source ID.
  function insertNew(report, type) {
    const rows = buildRows(report, type, actor, organization);
    for (const [table, insert] of inserts)
      for (const row of rows[table])
        if (insert.run(row).changes === 0) return null; // the receipt exists
    return { ...rows.event[0], id: rows.id };
  }
  const insertAll = database.transaction((reports, types) =>
    reports.map((report) => insertNew(report, types.get(report.type))),
  );
  const rows = (name, ...given) => statements[name].all(...given);
  const event = (row) =>
    row && {
      ...row,
      id: dashed(row.id),
      tags: JSON.parse(row.tags),
      fields: JSON.parse(row.fields),
    };
  const type = (row) => ({ ...row, id: dashed(row.id), key: row.id });
  return {
    rows,
    logEvents(reports) {
      const names = [...new Set(reports.map((report) => report.type))];
      const named = rows("named", owner, JSON.stringify(names));
      const types = new Map(named.map((row) => [row.type, type(row)]));
      const added = insertAll.immediate(reports, types);
      return reports.map(
        ({ source, sourceId }, number) =>
          added[number] ??
          event(rows("repeated", owner, owner, source, sourceId)[0]),
      );
    },
    list: (ids) => JSON.stringify(ids),
    id: (text) => text.replaceAll("-", ""),
    event,
    type,
    field: (row) => ({ ...row, required: row.required === 1 }),
  };
}

async function onPostgresql() {
  await createFunctions(url, organization, actor);
  const pool = new pg.Pool({ connectionString: url });
  const sql = { ...SQL, log: `${EVENTS} log_events($1::jsonb)` };
  const rows = async (name, ...values) =>
    (await pool.query({ name, text: sql[name], values })).rows;
  const event = (row) =>
    row && { ...row, occurredAt: row.occurredAt.toISOString() };
  return {
    rows,
    async logEvents(reports) {
      const key = ({ source, sourceId }) => `${source} ${sourceId}`;
      const logged = await rows("log", JSON.stringify(reports));
      const found = new Map(logged.map((row) => [key(row), event(row)]));
      return reports.map((report) => found.get(key(report)));
    },
    list: (ids) => ids,
    id: (text) => text,
    event,
    type: (row) => ({ ...row, key: row.id }),
    field: (row) => row,
  };
}

const source = sqlite ? onSqlite() : await onPostgresql();

const logEvents = async (reports) =>
  (await source.logEvents(reports)).map((event) => ({ event }));

const resolvers = {
  Mutation: {
    logEvent: async (_, { input }) => (await logEvents([input]))[0],
    logEvents: async (_, { input }) => ({ results: await logEvents(input) }),
  },
  Query: {
    events: (_, { first, after, filter }) => ({ first, after, filter }),
    event: async (_, { id }) =>
      source.event((await source.rows("event", owner, source.id(id)))[0]),
  },
  EventConnection: {
    nodes: async ({ first, after }) => {
      const [at, id] = after ? after.split("|") : [];
      const rows = after
        ? source.rows("after", owner, at, source.id(id), first)
        : source.rows("first", owner, first);
      return (await rows).map(source.event);
    },
    async totalCount({ filter }) {
      const rows = filter?.source
        ? source.rows("filtered", owner, filter.source)
        : source.rows("count", owner);
      return Number((await rows)[0].count);
    },
  },
};

const loaders = {
  Event: {
    async eventType(queries) {
      const ids = [...new Set(queries.map(({ obj }) => obj.eventTypeId))];
      const rows = await source.rows("types", source.list(ids));
      const found = new Map(rows.map((row) => [row.id, source.type(row)]));
      return queries.map(({ obj }) => found.get(obj.eventTypeId) ?? null);
    },
  },
  EventType: {
    async fields(queries) {
      const ids = [...new Set(queries.map(({ obj }) => obj.key))];
      const found = new Map(ids.map((id) => [id, []]));
      for (const row of await source.rows("fields", source.list(ids)))
        found.get(row.eventTypeId).push(source.field(row));
      return queries.map(({ obj }) => found.get(obj.key));
    },
  },
};

const app = fastify();
app.register(mercurius, { schema, resolvers, loaders, jit: 1 });
const address = await app.listen({ port: 0, host: "127.0.0.1", backlog: 2048 });
console.log(`mercurius is running at ${address}/graphql`);
