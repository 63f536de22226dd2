// drive.mjs URL KEY (or the URL that issues tokens): runs queries, a mutation and pagination with each
// client, and prints the results. Then subscribes to notifications with each, after the cursor that it
// reads, and prints [client, id] for each one.
import { gql } from "@apollo/client";
import { createInterface } from "node:readline";
import WebSocket from "ws";
import { print as printNode } from "graphql";
import { apolloClient, followBell as followByApollo } from "./apollo.mjs";
import { logEvent, pages, requestClient } from "./request.mjs";
import { followBell as followByTocsin, tocsinClient } from "./tocsin.mjs";
import { apolloClient as tocsinApolloClient } from "./tocsin_apollo.mjs";
import { urqlClient as tocsinUrqlClient } from "./tocsin_urql.mjs";
import { followBell as followByUrql, urqlClient } from "./urql.mjs";
import { followBell as followBySse, urqlClient as urqlSseClient } from "./urql_sse.mjs";

globalThis.WebSocket ??= WebSocket; // Node has its own since version 22.
const [, , url, key] = process.argv;
const getToken = async () => (key.startsWith("http") ? (await fetch(key)).text() : key);
const print = (value) => console.log(JSON.stringify(value));

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

function apollo(client) {
  return {
    ask: async (query) => (await client.query({ query })).data,
    change: async (mutation, variables) => (await client.mutate({ mutation, variables })).data,
    // The cache merges pages: each result has all rows so far.
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
    follow: (after, onEvent, failed) => followByApollo(client, after, onEvent, failed),
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
    follow: (after, onEvent, failed) => follow(client, after, onEvent, failed),
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

function tocsin(transport) {
  const client = tocsinClient(url, getToken, { transport });
  return {
    ask: (query) => client.request(query),
    change: (mutation, variables) => client.request(printNode(mutation), variables),
    async page(filter) {
      const first = await client.request(PAGE, { filter });
      const after = first.events.pageInfo.endCursor;
      return [summaries(first), summaries(await client.request(PAGE, { filter, after }))];
    },
    follow: (after, onEvent, failed) => followByTocsin(client, after, onEvent, failed),
  };
}

const clients = {
  apollo: apollo(apolloClient(url, getToken)),
  urql: urql(urqlClient(url, getToken), followByUrql),
  urql_sse: urql(urqlSseClient(url, getToken), followBySse),
  request: request(),
  tocsin: tocsin("auto"),
  tocsin_sse: tocsin("sse"),
  tocsin_apollo: apollo(tocsinApolloClient(url, getToken)),
  tocsin_urql: urql(tocsinUrqlClient(url, getToken), followByUrql),
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
print(Object.fromEntries(await Promise.all(used)));

const failed = (error) => {
  console.error(error);
  process.exit(1);
};
const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { value: after } = await input.next();
const stops = Object.entries(clients)
  .filter(([, { follow }]) => follow)
  .map(([name, { follow }]) => follow(after, ({ node }) => print([name, node.id]), failed));
await input.next();
stops.forEach((stop) => stop());
process.exit();
