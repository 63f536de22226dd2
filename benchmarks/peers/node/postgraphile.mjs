// PostGraphile 5 on the same tables, with its recommended preset. It checks no key.
import { createServer } from "node:http";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { grafserv } from "postgraphile/grafserv/node";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";

const preset = {
  extends: [PostGraphileAmberPreset],
  pgServices: [
    makePgService({ connectionString: process.env.TOCSIN_DATABASE_URL, schemas: ["public"] }),
  ],
  grafserv: { graphqlPath: "/graphql", graphiql: false, watch: false },
  schema: { defaultBehavior: "+list" },
};

const instance = postgraphile(preset);
if (process.argv[2] === "schema") {
  const { printSchema } = await import("postgraphile/graphql");
  console.log(printSchema(await instance.getSchema()));
  process.exit();
}
const server = createServer();
await instance.createServ(grafserv).addTo(server);
server.listen(0, "127.0.0.1", 2048, () =>
  console.log(`PostGraphile is running at http://127.0.0.1:${server.address().port}/graphql`),
);
