import { Client, fetchExchange, gql } from "@urql/core";

export function urqlClient(url, key) {
  return new Client({
    url,
    preferGetMethod: false,
    fetchOptions: { headers: { authorization: `Bearer ${key}` } },
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

/** Tells of each notification after the cursor, once and in order; answers with how to stop. */
export function followBell(client, after, heard, failed) {
  let following;
  let timer;
  let retries = 0;
  const stop = () => {
    clearTimeout(timer);
    following.unsubscribe();
  };
  const follow = () => {
    following = client.subscription(BELL, { after }).subscribe(({ data, error, hasNext }) => {
      if (isFinal(error)) {
        stop();
        failed(error);
      } else if (hasNext) {
        retries = 0;
        after = data.notificationAdded.cursor;
        heard(data.notificationAdded);
      } else {
        // The stream broke. Without an error this result repeats the one before it.
        const milliseconds = Math.min(100 * 2 ** retries++, 10_000) * (0.5 + Math.random() / 2);
        timer = setTimeout(follow, milliseconds);
      }
    });
  };
  follow();
  return stop;
}

/** Whether it would be the same again: not so with a network, and a server that is not ready. */
const isFinal = (error) => error?.graphQLErrors.length > 0 && !(error.response?.status >= 429);
