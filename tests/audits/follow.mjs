// Receives notifications with graphql-sse after a cursor, until there are COUNT of them. Then runs an
// invalid and a valid query: follow.mjs URL KEY AFTER COUNT
import { createClient } from "graphql-sse";

const [url, key, after, count] = process.argv.slice(2);
const client = createClient({ url, headers: { authorization: `Bearer ${key}` } });
const query = `subscription Bell($after: String) {
  notificationAdded(after: $after) { node { summary } }
}`;
const received = [];
for await (const { data } of client.iterate({ query, variables: { after } })) {
  received.push(data.notificationAdded.node.summary);
  if (received.length === Number(count)) break;
}
const failed = [];
for await (const { errors } of client.iterate({ query: "{ nothing }" })) failed.push(...errors);
const answered = [];
for await (const result of client.iterate({ query: "{ __typename }" })) answered.push(result.data);
client.dispose();
const codes = failed.map(({ extensions }) => extensions.code);
console.log(JSON.stringify({ received, codes, answered }));
