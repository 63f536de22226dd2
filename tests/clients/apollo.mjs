import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { relayStylePagination } from "@apollo/client/utilities";
import { resumingClient } from "./resuming.mjs";

export function apolloClient(url, key) {
  const authorization = `Bearer ${key}`;
  const http = new HttpLink({ uri: url, headers: { authorization } });
  const socket = new GraphQLWsLink(
    resumingClient({
      url: url.replace("http", "ws"),
      connectionParams: { authorization },
    }),
  );
  const live = ({ operationType }) => operationType === "subscription";
  return new ApolloClient({
    link: ApolloLink.split(live, socket, http),
    cache: new InMemoryCache({
      typePolicies: {
        Query: { fields: { events: relayStylePagination(["filter", "orderBy"]) } },
        Entity: { keyFields: ["type", "entityId"] },
      },
    }),
  });
}

const BELL = gql`
  subscription Bell($after: String) {
    notificationAdded(after: $after) {
      cursor
      node {
        id
        severity
        summary
      }
    }
  }
`;

/** Tells of each notification after the cursor, once and in order; answers with how to stop. */
export function followBell(client, after, heard, failed) {
  const following = client.subscribe({ query: BELL, variables: { after } }).subscribe({
    next: ({ data, error }) => (error ? failed(error) : heard(data.notificationAdded)),
    error: failed,
  });
  return () => following.unsubscribe();
}
