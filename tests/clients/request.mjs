import { gql, GraphQLClient } from "graphql-request";

export function requestClient(url, getToken) {
  const requestMiddleware = async (request) => {
    const headers = new Headers(request.headers);
    headers.set("authorization", `Bearer ${await getToken()}`);
    return { ...request, headers };
  };
  return new GraphQLClient(url, { requestMiddleware });
}

const LOG = gql`
  mutation Log($input: LogEventInput!) {
    logEvent(input: $input) {
      event {
        id
      }
      duplicate
      userErrors {
        code
        message
        path
      }
    }
  }
`;

/** Logs an event. An event that is sent again with the same `sourceId` is stored only once. */
export async function logEvent(client, input) {
  const { logEvent } = await client.request(LOG, { input });
  return logEvent;
}

const PAGE = gql`
  query Page($filter: EventFilter, $after: String) {
    events(filter: $filter, first: 2, after: $after) {
      nodes {
        summary
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`;

/** Yields the events that match the filter, page by page. */
export async function* pages(client, filter) {
  for (let after = null, more = true; more; ) {
    const { events } = await client.request(PAGE, { filter, after });
    yield events.nodes;
    after = events.pageInfo.endCursor;
    more = events.pageInfo.hasNextPage;
  }
}
