import { Client, fetchExchange, gql, subscriptionExchange } from "@urql/core";
import { resumingClient } from "./resuming.mjs";

export function urqlClient(url, getToken) {
  const socket = resumingClient({ url: url.replace("http", "ws"), getToken });
  const authorizedFetch = async (input, init) => {
    const authorization = `Bearer ${await getToken()}`;
    return fetch(input, { ...init, headers: { ...init.headers, authorization } });
  };
  const forwardSubscription = (payload) => ({
    subscribe: (sink) => ({ unsubscribe: socket.subscribe(payload, sink) }),
  });
  return new Client({
    url,
    preferGetMethod: false,
    fetch: authorizedFetch,
    exchanges: [fetchExchange, subscriptionExchange({ forwardSubscription })],
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
  const subscription = client.subscription(BELL, { after }).subscribe(({ data, error }) => {
    if (error) onError(error);
    else onNotification(data.notificationAdded);
  });
  return () => subscription.unsubscribe();
}
