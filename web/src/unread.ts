// The number of unread notifications in the title of the page. Until the server has read marks,
// a notification is unread until it is acknowledged.

import { createSocketClient, type Headers, isCredentialClose, sendOperation } from "./server";

const TITLE = "Tocsin · GraphiQL";
const REFRESH_MS = 500;
const MIN_RETRY_MS = 1000;
const MAX_RETRY_MS = 30_000;

const COUNT = "notifications(first: 1) { unacknowledgedCount }";
const START = `query UnreadNotifications { logHead ${COUNT} }`;
const REFRESH = `query UnreadNotifications { ${COUNT} }`;
// An acknowledgement or a deletion changes the number, too, so notificationAdded is not enough.
const CHANGES = `subscription UnreadNotifications($after: String!) {
  eventChanged(filter: { notification: true }, after: $after) { cursor }
}`;

interface Counts {
  logHead?: string;
  notifications: { unacknowledgedCount: number };
}

export function showUnread(count: number | null): void {
  document.title = count ? `(${count > 99 ? "99+" : count}) ${TITLE}` : TITLE;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Keeps the title up to date until the returned function is called. */
export function watchUnread(headers: Headers): () => void {
  const stop = new AbortController();
  const { signal } = stop;

  /** Returns null if the key may not read notifications. Throws if the server is unavailable. */
  async function load(query: string): Promise<Counts | null> {
    const response = await sendOperation({ query }, headers, signal);
    if (response.status === 401 || response.status === 403) return null;
    const { data, errors } = await response.json();
    if (errors?.some((error: any) => error.extensions?.code === "FORBIDDEN")) return null;
    if (typeof data?.notifications?.unacknowledgedCount !== "number") throw new Error("No count.");
    return data;
  }

  /** Resolves when the connection ends, to whether another one makes sense. */
  function follow(after: string, changed: () => void): Promise<boolean> {
    const client = createSocketClient(headers);
    signal.addEventListener("abort", () => void client.dispose(), { once: true });
    return new Promise((resolve) => {
      client.subscribe(
        { query: CHANGES, variables: { after } },
        {
          next: changed,
          error: (reason) => resolve(!isCredentialClose(reason)),
          complete: () => resolve(true),
        },
      );
    });
  }

  async function watch(): Promise<void> {
    let retryMs = MIN_RETRY_MS;
    while (!signal.aborted) {
      try {
        const start = await load(START);
        if (!start) return showUnread(null);
        showUnread(start.notifications.unacknowledgedCount);

        // At most one query at a time, however many events arrive meanwhile.
        let isRefreshing = false;
        let isStale = false;
        const refresh = async () => {
          isStale = true;
          if (isRefreshing) return;
          isRefreshing = true;
          try {
            while (isStale && !signal.aborted) {
              await pause(REFRESH_MS);
              isStale = false;
              const counts = await load(REFRESH);
              if (!signal.aborted) showUnread(counts && counts.notifications.unacknowledgedCount);
            }
          } catch {
            // The connection ends as well if the server is down, and its end starts this again.
          } finally {
            isRefreshing = false;
          }
        };
        const connectedAt = Date.now();
        if (!(await follow(start.logHead!, () => void refresh()))) return showUnread(null);
        if (Date.now() - connectedAt > MAX_RETRY_MS) retryMs = MIN_RETRY_MS;
      } catch {
        if (signal.aborted) return;
        showUnread(null);
      }
      await pause(retryMs);
      retryMs = Math.min(retryMs * 2, MAX_RETRY_MS);
    }
  }

  void watch();
  return () => {
    stop.abort();
    showUnread(null);
  };
}
