// cache_cases.mjs CASE URL KEY: reads events into the cache of Apollo Client or urql, with the policies of
// @tocsin/client, and prints what the cache then contains as a line of JSON.
import { gql } from "@apollo/client";
import WebSocket from "ws";
import { apolloClient } from "./tocsin_apollo.mjs";
import { urqlClient } from "./tocsin_urql.mjs";

globalThis.WebSocket ??= WebSocket; // Node has its own since version 22.
const [, , name, url, key] = process.argv;
const warnings = [];
console.warn = console.error = (...warning) => warnings.push(warning.join(" "));

const EVENTS = gql`
  query Events($filter: EventFilter, $after: String) {
    events(filter: $filter, first: 2, after: $after) {
      edges {
        cursor
        node {
          ...Identity
          summary
          entity {
            type
            entityId
          }
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
  fragment Identity on Node {
    id
  }
`;
const MORE = gql`
  query More {
    viewer {
      name
    }
    event: events(first: 1) {
      edges {
        node {
          id
          entity {
            type
            entityId
            events(first: 1) {
              totalCount
            }
          }
        }
      }
    }
  }
`;
const FILTERS = [{ severities: ["INFO"] }, { severities: ["ERROR"] }];
const getToken = () => key;

const cases = {
  async apollo() {
    const client = apolloClient(url, getToken);
    const read = (filter) => client.readQuery({ query: EVENTS, variables: { filter } });
    for (const filter of FILTERS) {
      const { data } = await client.query({ query: EVENTS, variables: { filter } });
      const { hasNextPage, endCursor } = data.events.pageInfo;
      if (hasNextPage) {
        const variables = { filter, after: endCursor };
        await client.query({ query: EVENTS, variables, fetchPolicy: "network-only" }); // as fetchMore
      }
    }
    await client.query({ query: MORE });
    const entities = Object.keys(client.cache.extract()).filter((id) => id.startsWith("Entity:"));
    return { lists: FILTERS.map(read), entities: entities.length };
  },
  async urql() {
    const client = urqlClient(url, getToken);
    const read = (filter) => client.readQuery(EVENTS, { filter }).data;
    for (const filter of FILTERS) {
      const { data, error } = await client.query(EVENTS, { filter }).toPromise();
      if (error) throw error;
      const { hasNextPage, endCursor } = data.events.pageInfo;
      if (hasNextPage) await client.query(EVENTS, { filter, after: endCursor }).toPromise();
    }
    const { error } = await client.query(MORE, {}).toPromise();
    if (error) throw error;
    return { lists: FILTERS.map(read), entities: null };
  },
};

const { lists, entities } = await cases[name]();
const rows = lists.map(({ events }) =>
  events.edges.map(({ node }) => [node.id, node.summary, node.entity.entityId]),
);
console.log(JSON.stringify({ rows, entities, warnings }));
process.exit();
