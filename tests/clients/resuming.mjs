import { createClient } from "graphql-ws";

/** A graphql-ws client that resumes each subscription after the last `cursor` that it received. */
export function resumingClient(options) {
  const client = createClient({
    retryAttempts: Infinity,
    retryWait: (retries) => pause(Math.min(100 * 2 ** retries, 10_000) * (0.5 + Math.random() / 2)),
    // 4403: the credential is not valid. Retries would fail until the user signs in again.
    shouldRetry: (event) => event.code !== 4403,
    ...options,
  });
  const subscribe = (payload, sink) => {
    const variables = { ...payload.variables };
    const next = (result) => {
      const [entry] = Object.values(result.data ?? {});
      if (entry?.cursor) variables.after = entry.cursor;
      sink.next(result);
    };
    // graphql-ws sends this object again after it reconnects, with the changed variables.
    return client.subscribe({ ...payload, variables }, { ...sink, next });
  };
  return { ...client, subscribe };
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
