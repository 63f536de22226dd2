import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { SetContextLink } from "@apollo/client/link/context";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { relayStylePagination } from "@apollo/client/utilities";
import { resumingClient } from "./resuming.mjs";

export function apolloClient(url, getToken) {
  const authorize = new SetContextLink(async ({ headers }) => ({
    headers: { ...headers, authorization: `Bearer ${await getToken()}` },
  }));
  const http = authorize.concat(new HttpLink({ uri: url }));
  const socket = new GraphQLWsLink(resumingClient({ url: url.replace("http", "ws"), getToken }));
  const isSubscription = ({ operationType }) => operationType === "subscription";
  return new ApolloClient({
    link: ApolloLink.split(isSubscription, socket, http),
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

/**
 * Calls `onNotification` once for each notification after the cursor, in order.
 * Returns a function that unsubscribes.
 */
export function followBell(client, after, onNotification, onError) {
  const subscription = client.subscribe({ query: BELL, variables: { after } }).subscribe({
    next: ({ data, error }) => (error ? onError(error) : onNotification(data.notificationAdded)),
    error: onError,
  });
  return () => subscription.unsubscribe();
}
