// Uses a server with graphql-ws's own client, and prints what it received.
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [, , url, key] = process.argv;
const result = { opened: 0, acknowledged: 0, pinged: 0, answered: 0, closed: null };

const client = createClient({
  url,
  webSocketImpl: WebSocket,
  connectionParams: { authorization: `Bearer ${key}` },
  keepAlive: 50,
  retryAttempts: 0,
  on: {
    opened: () => (result.opened += 1),
    connected: () => (result.acknowledged += 1),
    ping: (received) => received && (result.pinged += 1),
    pong: (received) => received && (result.answered += 1),
    closed: (event) => (result.closed = event.code),
  },
});

const BELL = `subscription ($after: String) {
  notificationAdded(after: $after) { node { summary } }
}`;
const LOG = `mutation ($summary: String!) {
  logEvent(input: { summary: $summary, notification: true }) { event { summary } }
}`;

async function once(query, variables) {
  const answers = [];
  for await (const answer of client.iterate({ query, variables })) answers.push(answer);
  if (answers.length !== 1) throw new Error(`${answers.length} answers`);
  return answers[0];
}

async function next(following) {
  const { value } = await following.next();
  return value.data.notificationAdded.node.summary;
}

async function until(holds) {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

// All operations use one socket, which the first subscription keeps open.
const after = (await once("{ logHead }")).data.logHead;
result.opened = result.acknowledged = 0;
const first = client.iterate({ query: BELL, variables: { after } });
const second = client.iterate({ query: BELL, variables: { after } });
result.logged = (await once(LOG, { summary: "a" })).data.logEvent.event.summary;
result.first = [await next(first)];
result.second = [await next(second)];
await first.return();
await once(LOG, { summary: "b" });
result.second.push(await next(second));
result.failed = await once("{ nope }").catch((errors) => errors[0].extensions.code);
await until(() => result.pinged > 1 && result.answered > 1);
result.pinged = result.answered = "yes";
await second.return();
await until(() => result.closed !== null);
console.log(JSON.stringify(result));
