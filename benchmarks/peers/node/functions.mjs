// Creates the functions of log_events.sql, which log events on PostgreSQL in one statement.
import { readFileSync } from "node:fs";
import pg from "pg";

export async function createFunctions(url, organization, actor) {
  const file = new URL("log_events.sql", import.meta.url);
  const functions = readFileSync(file, "utf8")
    .replaceAll("'ACTOR'", `'${actor}'`)
    .replaceAll("'MARK'", `'@2@${organization.replaceAll("-", "")}'`)
    .replaceAll("ORGANIZATION", `'${organization}'::uuid`);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(functions);
  await client.end();
}
