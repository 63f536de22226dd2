// The number of open notifications in the title of the page.

import { createSocketClient, type Headers, isCredentialClose } from "../shared/server";

const TITLE = "Tocsin · GraphiQL";
const MIN_RETRY_MS = 1000;
const MAX_RETRY_MS = 30_000;

const SUMMARY = "subscription OpenNotifications { notificationSummaryChanged { openCount } }";

export function showUnread(count: number | null): void {
  document.title = count ? `(${count > 99 ? "99+" : count}) ${TITLE}` : TITLE;
}

const isForbidden = (reason: unknown): boolean =>
  Array.isArray(reason) && reason.some((error) => error.extensions?.code === "FORBIDDEN");

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Keeps the title up to date until the returned function is called. */
export function watchUnread(headers: Headers): () => void {
  const stop = new AbortController();
  const { signal } = stop;

  /** Resolves when the connection ends, to whether another one makes sense. */
  function follow(): Promise<boolean> {
    const client = createSocketClient(headers);
    signal.addEventListener("abort", () => void client.dispose(), { once: true });
    return new Promise((resolve) => {
      client.subscribe<{ notificationSummaryChanged: { openCount: number } }>(
        { query: SUMMARY },
        {
          next: ({ data }) => {
            if (data && !signal.aborted) showUnread(data.notificationSummaryChanged.openCount);
          },
          error: (reason) => resolve(!isCredentialClose(reason) && !isForbidden(reason)),
          complete: () => resolve(true),
        },
      );
    });
  }

  async function watch(): Promise<void> {
    let retryMs = MIN_RETRY_MS;
    while (!signal.aborted) {
      const connectedAt = Date.now();
      const isWorthRetrying = await follow();
      if (signal.aborted) return;
      showUnread(null);
      if (!isWorthRetrying) return;
      if (Date.now() - connectedAt > MAX_RETRY_MS) retryMs = MIN_RETRY_MS;
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
