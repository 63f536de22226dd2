// mercurius with its JIT and loaders, on the same tables, with hand-written prepared SQL. It checks no
// key. TOCSIN_DATABASE_URL is the database, ORGANIZATION_ID the organization of the events.
import Database from "better-sqlite3";
import fastify from "fastify";
import mercurius from "mercurius";
import pg from "pg";

const url = process.env.TOCSIN_DATABASE_URL;
const sqlite = url.startsWith("sqlite:///");
const organization = process.env.ORGANIZATION_ID;
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
  type Query {
    events(first: Int = 20, after: String): EventConnection!
    event(id: ID!): Event
  }
`;

const EVENT = `SELECT id, type, severity, summary, source, occurred_at AS "occurredAt", tags, fields,
  event_type_id AS "eventTypeId" FROM event WHERE organization_id = $1`;
const SQL = {
  first: `${EVENT} ORDER BY occurred_at DESC, id DESC LIMIT $2`,
  after: `${EVENT} AND (occurred_at, id) < ($2, $3) ORDER BY occurred_at DESC, id DESC LIMIT $4`,
  event: `${EVENT} AND id = $2`,
  count: "SELECT count(*) AS count FROM event WHERE organization_id = $1",
  types: `SELECT id, type, name, category FROM event_type WHERE id ${among("$1")}`,
  fields: `SELECT event_type_id AS "eventTypeId", name, kind, label, required, unit
    FROM event_field WHERE event_type_id ${among("$1")} ORDER BY event_type_id, position`,
};

function among(list) {
  return sqlite ? `IN (SELECT value FROM json_each(${list}))` : `= ANY(${list}::uuid[])`;
}

function dashed(id) {
  return [id.slice(0, 8), id.slice(8, 12), id.slice(12, 16), id.slice(16, 20), id.slice(20)].join(
    "-",
  );
}

function onSqlite() {
  const database = new Database(url.slice("sqlite:///".length), { readonly: true });
  const statements = {};
  for (const [name, sql] of Object.entries(SQL))
    statements[name] = database.prepare(sql.replaceAll(/\$\d/g, "?"));
  return {
    rows: (name, ...given) => statements[name].all(...given),
    list: (ids) => JSON.stringify(ids),
    id: (text) => text.replaceAll("-", ""),
    event: (row) =>
      row && {
        ...row,
        id: dashed(row.id),
        tags: JSON.parse(row.tags),
        fields: JSON.parse(row.fields),
      },
    type: (row) => ({ ...row, id: dashed(row.id), key: row.id }),
    field: (row) => ({ ...row, required: row.required === 1 }),
  };
}

function onPostgresql() {
  const pool = new pg.Pool({ connectionString: url });
  return {
    rows: async (name, ...values) => (await pool.query({ name, text: SQL[name], values })).rows,
    list: (ids) => ids,
    id: (text) => text,
    event: (row) => row && { ...row, occurredAt: row.occurredAt.toISOString() },
    type: (row) => ({ ...row, key: row.id }),
    field: (row) => row,
  };
}

const source = sqlite ? onSqlite() : onPostgresql();

const resolvers = {
  Query: {
    events: (_, { first, after }) => ({ first, after }),
    event: async (_, { id }) => source.event((await source.rows("event", owner, source.id(id)))[0]),
  },
  EventConnection: {
    nodes: async ({ first, after }) => {
      const [at, id] = after ? after.split("|") : [];
      const rows = after
        ? source.rows("after", owner, at, source.id(id), first)
        : source.rows("first", owner, first);
      return (await rows).map(source.event);
    },
    totalCount: async () => Number((await source.rows("count", owner))[0].count),
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
