// Follows the bell by graphql-sse, from a cursor on, until it has heard COUNT summaries, and asks for
// what there is not: follow.mjs ADDRESS KEY AFTER COUNT
import { createClient } from "graphql-sse";

const [url, key, after, count] = process.argv.slice(2);
const client = createClient({ url, headers: { authorization: `Bearer ${key}` } });
const query = `subscription Bell($after: String) {
  notificationAdded(after: $after) { node { summary } }
}`;
const heard = [];
for await (const { data } of client.iterate({ query, variables: { after } })) {
  heard.push(data.notificationAdded.node.summary);
  if (heard.length === Number(count)) break;
}
const failed = [];
for await (const { errors } of client.iterate({ query: "{ nothing }" })) failed.push(...errors);
const answered = [];
for await (const result of client.iterate({ query: "{ __typename }" })) answered.push(result.data);
client.dispose();
const codes = failed.map(({ extensions }) => extensions.code);
console.log(JSON.stringify({ heard, codes, answered }));
