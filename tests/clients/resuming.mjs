import { createClient } from "graphql-ws";

/** A client of graphql-ws whose subscriptions go on after the last `cursor` that they heard. */
export function resumingClient(options) {
  const client = createClient({
    retryAttempts: Infinity,
    retryWait: (retries) => pause(Math.min(100 * 2 ** retries, 10_000) * (0.5 + Math.random() / 2)),
    // After 4403 nothing opens until somebody signs in again.
    shouldRetry: (event) => event.code !== 4403,
    ...options,
  });
  const subscribe = (payload, sink) => {
    const variables = { ...payload.variables };
    const next = (answer) => {
      const [entry] = Object.values(answer.data ?? {});
      if (entry?.cursor) variables.after = entry.cursor;
      sink.next(answer);
    };
    // On a new socket graphql-ws sends the payload as it is by then.
    return client.subscribe({ ...payload, variables }, { ...sink, next });
  };
  return { ...client, subscribe };
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
