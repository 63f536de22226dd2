// Runs the audits of graphql-http, and prints the results as JSON: audit.mjs URL KEY
import { auditServer } from "graphql-http";

const [url, key] = process.argv.slice(2);
const fetchFn = (to, init) =>
  fetch(to, { ...init, headers: { ...init?.headers, authorization: `Bearer ${key}` } });
const results = await auditServer({ url, fetchFn });
const found = results.map(({ id, name, status, reason }) => ({ id, name, status, reason }));
console.log(JSON.stringify(found));
