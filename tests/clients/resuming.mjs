import { createClient } from "graphql-ws";

/**
 * A graphql-ws client that resumes each subscription after the last `cursor` that it received.
 * `getToken` returns a promise of a valid access token or API key. It is called for each connection.
 */
export function resumingClient({ getToken, ...options }) {
  let wasAccepted = false;
  let hadExpired = false;
  const client = createClient({
    connectionParams: async () => ({ authorization: `Bearer ${await getToken()}` }),
    retryAttempts: Infinity,
    retryWait: (retries) => new Promise((resolve) => setTimeout(resolve, delayOf(retries))),
    // 4403: the credential is not valid. If it was before, it has expired, and a new one may help.
    shouldRetry: (event) => event.code !== 4403 || hadExpired,
    ...options,
  });
  client.on("connected", () => {
    wasAccepted = true;
  });
  client.on("closed", () => {
    hadExpired = wasAccepted;
    wasAccepted = false;
  });
  const subscribe = (payload, sink) => {
    const variables = { ...payload.variables };
    let retries = 0;
    let timer;
    let unsubscribe;
    const next = (result) => {
      const [entry] = Object.values(result.data ?? {});
      if (entry?.cursor) variables.after = entry.cursor;
      retries = 0;
      sink.next(result);
    };
    const error = (reason) => {
      const { code, retryAfterSeconds = 0 } = reason[0]?.extensions ?? {};
      // The database was not available, or a rate limit is exhausted: a retry can succeed.
      const canRetry = code === "UNAVAILABLE" || retryAfterSeconds > 0;
      if (canRetry) timer = setTimeout(follow, retryAfterSeconds * 1000 + delayOf(retries++));
      else sink.error(reason);
    };
    const follow = () => {
      // graphql-ws sends this object again after it reconnects, with the changed variables.
      unsubscribe = client.subscribe({ ...payload, variables }, { ...sink, next, error });
    };
    follow();
    return () => {
      clearTimeout(timer);
      unsubscribe();
    };
  };
  return { ...client, subscribe };
}

const delayOf = (retries) => Math.min(100 * 2 ** retries, 10_000) * (0.5 + Math.random() / 2);
