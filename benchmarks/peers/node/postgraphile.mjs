// PostGraphile 5 on the same tables, with its recommended preset, and functions of the database that log
// events. It checks no key. ORGANIZATION_ID is the organization of the events, ACTOR the name of who logs
// them.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import pg from "pg";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { grafserv } from "postgraphile/grafserv/node";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";

const preset = {
  extends: [PostGraphileAmberPreset],
  pgServices: [
    makePgService({
      connectionString: process.env.TOCSIN_DATABASE_URL,
      schemas: ["public"],
    }),
  ],
  grafserv: {
    graphqlPath: "/graphql",
    graphiql: false,
    watch: false,
    maxRequestLength: 1_000_000,
  },
  schema: { defaultBehavior: "+list" },
};

const organization = process.env.ORGANIZATION_ID;
const functions = readFileSync(
  new URL("log_events.sql", import.meta.url),
  "utf8",
)
  .replaceAll("'ACTOR'", `'${process.env.ACTOR}'`)
  .replaceAll("'MARK'", `'@2@${organization.replaceAll("-", "")}'`)
  .replaceAll("ORGANIZATION", `'${organization}'::uuid`);
const client = new pg.Client({
  connectionString: process.env.TOCSIN_DATABASE_URL,
});
await client.connect();
await client.query(functions);
await client.end();

const instance = postgraphile(preset);
if (process.argv[2] === "schema") {
  const { printSchema } = await import("postgraphile/graphql");
  console.log(printSchema(await instance.getSchema()));
  process.exit();
}
const server = createServer();
await instance.createServ(grafserv).addTo(server);
server.listen(0, "127.0.0.1", 2048, () =>
  console.log(
    `PostGraphile is running at http://127.0.0.1:${server.address().port}/graphql`,
  ),
);
