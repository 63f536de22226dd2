// inspect.mjs CONTRACT SCHEMA < DOCUMENTS: prints, as JSON, the changes that graphql-inspector finds
// from the contract to the schema, and its messages about the documents, [{name, body}].
import { diff, validate } from "@graphql-inspector/core";
import { buildSchema, Source } from "graphql";
import { readFileSync } from "node:fs";

const files = process.argv.slice(2);
const [contract, schema] = files.map((file) => buildSchema(readFileSync(file, "utf8")));
const documents = JSON.parse(readFileSync(0, "utf8"));

const changes = (await diff(contract, schema)).map(({ criticality, type, message }) => ({
  level: criticality.level,
  type,
  message,
}));
const messages = validate(
  schema,
  documents.map(({ name, body }) => new Source(body, name)),
).map(({ source, errors, deprecated }) => ({
  name: source.name,
  errors: errors.map((error) => error.message),
  deprecated: deprecated.map((error) => error.message),
}));
console.log(JSON.stringify({ changes, messages }));
