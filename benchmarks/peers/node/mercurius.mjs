// mercurius with its JIT and loaders, on the same tables, with hand-written prepared SQL. It checks no
// key. TOCSIN_DATABASE_URL is the database, ORGANIZATION_ID the organization of the events, ACTOR the
// name of who logs them.
import Database from "better-sqlite3";
import fastify from "fastify";
import mercurius from "mercurius";
import pg from "pg";
import { buildRows, COLUMNS, dashed } from "./rows.mjs";

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

const EVENT = `SELECT id, type, severity, summary, source, occurred_at AS "occurredAt", tags, fields,
  event_type_id AS "eventTypeId" FROM event WHERE organization_id = $1`;
const SQL = {
  first: `${EVENT} ORDER BY occurred_at DESC, id DESC LIMIT $2`,
  after: `${EVENT} AND (occurred_at, id) < ($2, $3) ORDER BY occurred_at DESC, id DESC LIMIT $4`,
  event: `${EVENT} AND id = $2`,
  repeated: `${EVENT} AND id = (SELECT event_id FROM receipt
    WHERE organization_id = $2 AND source = $3 AND source_id = $4)`,
  count: "SELECT count(*) AS count FROM event WHERE organization_id = $1",
  types: `SELECT id, type, name, category FROM event_type WHERE id ${among("$1")}`,
  named: `SELECT id, type, version, category FROM event_type
    WHERE organization_id = $1 AND type ${among("$2", "text")}`,
  fields: `SELECT event_type_id AS "eventTypeId", name, kind, label, required, unit
    FROM event_field WHERE event_type_id ${among("$1")} ORDER BY event_type_id, position`,
};

function among(list, type = "uuid") {
  return sqlite
    ? `IN (SELECT value FROM json_each(${list}))`
    : `= ANY(${list}::${type}[])`;
}

// A word as a token of the search index on SQLite.
function token(word) {
  const encode = (text) => String.fromCharCode(0xe000 + text.charCodeAt(0));
  return `a${word.replaceAll(/[\x00-\x7f]/g, (each) => (/[a-z0-9]/i.test(each) ? each : encode(each)))}`;
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
  const insertNew = database.transaction((reports) =>
    reports.map((rows) => {
      for (const [table, insert] of inserts)
        for (const row of rows[table])
          if (insert.run(row).changes === 0) return false; // the receipt exists
      return true;
    }),
  );
  return {
    rows: (name, ...given) => statements[name].all(...given),
    insertNew: insertNew.immediate,
    codec: {
      id: (text) => text.replaceAll("-", ""),
      time: (text) => text.replace("Z", "+00:00"),
      boolean: Number,
      json: JSON.stringify,
      words: (words) => [...words].map(token).sort().join(" "),
    },
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
  const inserts = Object.entries(COLUMNS).map(([table, columns]) => {
    const rows = `SELECT ${columns} FROM json_populate_recordset(NULL::${table}, $1)`;
    const conflict =
      table === "receipt" ? "ON CONFLICT DO NOTHING RETURNING event_id" : "";
    return [
      table,
      {
        name: table,
        text: `INSERT INTO ${table} (${columns}) ${rows} ${conflict}`,
      },
    ];
  });
  return {
    rows: async (name, ...values) =>
      (await pool.query({ name, text: SQL[name], values })).rows,
    async insertNew(reports) {
      const client = await pool.connect();
      try {
        await client.query("BEGIN");
        let added = reports;
        for (const [table, insert] of inserts) {
          const values = [JSON.stringify(added.flatMap((rows) => rows[table]))];
          const result = await client.query({ ...insert, values });
          if (table !== "receipt") continue;
          const claimed = new Set(result.rows.map((row) => row.event_id));
          added = reports.filter((rows) => claimed.has(rows.event[0].id));
        }
        await client.query("COMMIT");
        const stored = new Set(added);
        return reports.map((rows) => stored.has(rows));
      } catch (error) {
        await client.query("ROLLBACK");
        throw error;
      } finally {
        client.release();
      }
    },
    codec: {
      id: (text) => text,
      time: (text) => text,
      boolean: (value) => value,
      json: (value) => value,
      words: (words) => [...words].map((word) => `'${word}'`).join(" "),
    },
    list: (ids) => ids,
    id: (text) => text,
    event: (row) => row && { ...row, occurredAt: row.occurredAt.toISOString() },
    type: (row) => ({ ...row, key: row.id }),
    field: (row) => row,
  };
}

const source = sqlite ? onSqlite() : onPostgresql();

async function logEvents(reports) {
  const names = [...new Set(reports.map((report) => report.type))];
  const named = await source.rows("named", owner, source.list(names));
  const types = new Map(named.map((row) => [row.type, source.type(row)]));
  const built = reports.map((report) =>
    buildRows(
      report,
      types.get(report.type),
      process.env.ACTOR,
      organization,
      source.codec,
    ),
  );
  const isNew = await source.insertNew(built);
  return Promise.all(
    built.map(async (rows, number) => {
      if (isNew[number]) return { event: { ...rows.event[0], id: rows.id } };
      const { source: from, sourceId } = reports[number];
      return {
        event: source.event(
          (await source.rows("repeated", owner, owner, from, sourceId))[0],
        ),
      };
    }),
  );
}

const resolvers = {
  Mutation: {
    logEvent: async (_, { input }) => (await logEvents([input]))[0],
    logEvents: async (_, { input }) => ({ results: await logEvents(input) }),
  },
  Query: {
    events: (_, { first, after }) => ({ first, after }),
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
    totalCount: async () =>
      Number((await source.rows("count", owner))[0].count),
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
