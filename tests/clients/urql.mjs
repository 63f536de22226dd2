import { Client, fetchExchange, gql, subscriptionExchange } from "@urql/core";
import { resumingClient } from "./resuming.mjs";

export function urqlClient(url, key) {
  const authorization = `Bearer ${key}`;
  const socket = resumingClient({
    url: url.replace("http", "ws"),
    connectionParams: { authorization },
  });
  const forwardSubscription = (payload) => ({
    subscribe: (sink) => ({ unsubscribe: socket.subscribe(payload, sink) }),
  });
  return new Client({
    url,
    preferGetMethod: false,
    fetchOptions: { headers: { authorization } },
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

/** Tells of each notification after the cursor, once and in order; answers with how to stop. */
export function followBell(client, after, heard, failed) {
  const following = client.subscription(BELL, { after }).subscribe(({ data, error }) => {
    if (error) failed(error);
    else heard(data.notificationAdded);
  });
  return () => following.unsubscribe();
}
