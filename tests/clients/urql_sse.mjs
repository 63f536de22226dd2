import { Client, fetchExchange, gql } from "@urql/core";

export function urqlClient(url, getToken) {
  const authorizedFetch = async (input, init) => {
    const authorization = `Bearer ${await getToken()}`;
    return fetch(input, { ...init, headers: { ...init.headers, authorization } });
  };
  return new Client({
    url,
    preferGetMethod: false,
    fetch: authorizedFetch,
    fetchSubscriptions: true,
    exchanges: [fetchExchange],
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
  let subscription;
  let timer;
  let retries = 0;
  const stop = () => {
    clearTimeout(timer);
    subscription.unsubscribe();
  };
  const follow = () => {
    subscription = client.subscription(BELL, { after }).subscribe(({ data, error, hasNext }) => {
      if (isFinal(error)) {
        stop();
        onError(error);
      } else if (hasNext && !error) {
        retries = 0;
        after = data.notificationAdded.cursor;
        onNotification(data.notificationAdded);
      } else if (!hasNext) {
        // The stream ended. If there is no error, this result repeats the previous one.
        const milliseconds = Math.min(100 * 2 ** retries++, 10_000) * (0.5 + Math.random() / 2);
        timer = setTimeout(follow, milliseconds);
      }
    });
  };
  follow();
  return stop;
}

/** Whether a retry would fail again. Network errors and statuses of 429 and above are retried. */
function isFinal(error) {
  const [first] = error?.graphQLErrors ?? [];
  const isUnavailable = first?.extensions.code === "UNAVAILABLE";
  return first !== undefined && !isUnavailable && !(error.response?.status >= 429);
}
