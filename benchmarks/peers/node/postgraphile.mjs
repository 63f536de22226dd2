// PostGraphile 5 on the same tables, with its recommended preset, and functions of the database that log
// events. It checks no key. ORGANIZATION_ID is the organization of the events, ACTOR the name of who logs
// them.
import { createServer } from "node:http";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { grafserv } from "postgraphile/grafserv/node";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { createFunctions } from "./functions.mjs";

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

const { TOCSIN_DATABASE_URL, ORGANIZATION_ID, ACTOR } = process.env;
await createFunctions(TOCSIN_DATABASE_URL, ORGANIZATION_ID, ACTOR);

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
