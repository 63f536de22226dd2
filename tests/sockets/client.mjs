// Speaks with a server by graphql-ws's own client, and prints what it heard.
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [, , url, key] = process.argv;
const heard = { opened: 0, acknowledged: 0, pinged: 0, answered: 0, closed: null };

const client = createClient({
  url,
  webSocketImpl: WebSocket,
  connectionParams: { authorization: `Bearer ${key}` },
  keepAlive: 50,
  retryAttempts: 0,
  on: {
    opened: () => (heard.opened += 1),
    connected: () => (heard.acknowledged += 1),
    ping: (received) => received && (heard.pinged += 1),
    pong: (received) => received && (heard.answered += 1),
    closed: (event) => (heard.closed = event.code),
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

// One socket carries it all: the first subscription holds it open.
const after = (await once("{ logHead }")).data.logHead;
heard.opened = heard.acknowledged = 0;
const first = client.iterate({ query: BELL, variables: { after } });
const second = client.iterate({ query: BELL, variables: { after } });
heard.logged = (await once(LOG, { summary: "a" })).data.logEvent.event.summary;
heard.first = [await next(first)];
heard.second = [await next(second)];
await first.return();
await once(LOG, { summary: "b" });
heard.second.push(await next(second));
heard.failed = await once("{ nope }").catch((errors) => errors[0].extensions.code);
await until(() => heard.pinged > 1 && heard.answered > 1);
heard.pinged = heard.answered = "yes";
await second.return();
await until(() => heard.closed !== null);
console.log(JSON.stringify(heard));
