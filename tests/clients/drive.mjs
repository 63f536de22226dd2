// drive.mjs URL KEY (or the address at which tokens are issued): asks, changes and pages with each client, and prints what came of it; then
// follows the bell with each, after the cursor that it reads, and prints [client, id] as it hears.
import { gql } from "@apollo/client";
import { createInterface } from "node:readline";
import WebSocket from "ws";
import { apolloClient, followBell as followByApollo } from "./apollo.mjs";
import { logEvent, pages, requestClient } from "./request.mjs";
import { followBell as followByUrql, urqlClient } from "./urql.mjs";
import { followBell as followBySse, urqlClient as urqlSseClient } from "./urql_sse.mjs";

globalThis.WebSocket ??= WebSocket; // Node has one of its own from 22 on.
const [, , url, key] = process.argv;
const getToken = async () => (key.startsWith("http") ? (await fetch(key)).text() : key);
const tell = (what) => console.log(JSON.stringify(what));

const VIEWER = gql`
  query {
    viewer {
      name
    }
  }
`;
const LOG = gql`
  mutation Log($input: LogEventInput!) {
    logEvent(input: $input) {
      event {
        id
      }
      userErrors {
        code
        path
      }
    }
  }
`;
const PAGE = gql`
  query Page($filter: EventFilter, $after: String) {
    events(filter: $filter, first: 2, after: $after) {
      edges {
        cursor
        node {
          id
          summary
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`;
const summaries = ({ events }) => events.edges.map(({ node }) => node.summary);

function apollo() {
  const client = apolloClient(url, getToken);
  return {
    ask: async (query) => (await client.query({ query })).data,
    change: async (mutation, variables) => (await client.mutate({ mutation, variables })).data,
    // The cache puts pages together: each time, all that is there so far.
    async page(filter) {
      const list = client.watchQuery({ query: PAGE, variables: { filter } });
      const seen = [];
      await new Promise((resolve, reject) => {
        list.subscribe(({ data, error, loading }) => {
          if (error) return reject(error);
          if (loading) return undefined;
          seen.push(summaries(data));
          const { hasNextPage, endCursor } = data.events.pageInfo;
          if (!hasNextPage) return resolve();
          return list.fetchMore({ variables: { after: endCursor } }).catch(reject);
        });
      });
      return seen;
    },
    follow: (after, heard, failed) => followByApollo(client, after, heard, failed),
  };
}

function urql(client, follow) {
  const data = async (asked) => {
    const answer = await asked.toPromise();
    if (answer.error) throw answer.error;
    return answer.data;
  };
  const ask = (query, variables = {}) => data(client.query(query, variables));
  return {
    ask,
    change: (mutation, variables) => data(client.mutation(mutation, variables)),
    async page(filter) {
      const first = await ask(PAGE, { filter });
      const second = await ask(PAGE, { filter, after: first.events.pageInfo.endCursor });
      return [summaries(first), summaries(second)];
    },
    follow: (after, heard, failed) => follow(client, after, heard, failed),
  };
}

function request() {
  const client = requestClient(url, getToken);
  return {
    ask: (query) => client.request(query),
    change: async (_, { input }) => ({ logEvent: await logEvent(client, input) }),
    async page(filter) {
      const all = [];
      for await (const events of pages(client, filter)) all.push(events.map((each) => each.summary));
      return all;
    },
  };
}

const clients = {
  apollo: apollo(),
  urql: urql(urqlClient(url, getToken), followByUrql),
  urql_sse: urql(urqlSseClient(url, getToken), followBySse),
  request: request(),
};

async function use(name, client) {
  const source = `/clients/${name}`;
  const { viewer } = await client.ask(VIEWER);
  for (const summary of ["1", "2", "3"]) {
    const occurredAt = `2026-01-0${summary}T00:00:00Z`;
    await client.change(LOG, { input: { source, summary, occurredAt } });
  }
  const late = { source, summary: "late", occurredAt: "2999-01-01T00:00:00Z" };
  const { logEvent: refused } = await client.change(LOG, { input: late });
  return {
    viewer: viewer.name,
    event: refused.event,
    errors: refused.userErrors.map(({ code, path }) => [code, path]),
    pages: await client.page({ source }),
  };
}

const used = Object.entries(clients).map(async ([name, each]) => [name, await use(name, each)]);
tell(Object.fromEntries(await Promise.all(used)));

const failed = (error) => {
  console.error(error);
  process.exit(1);
};
const told = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { value: after } = await told.next();
const stops = Object.entries(clients)
  .filter(([, { follow }]) => follow)
  .map(([name, { follow }]) => follow(after, ({ node }) => tell([name, node.id]), failed));
await told.next();
stops.forEach((stop) => stop());
process.exit();
