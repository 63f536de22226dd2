import { createTocsinClient } from "@tocsin/client";

const BELL = `
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
  const subscription = client.subscribe(BELL, {
    after,
    onData: ({ notificationAdded }) => onNotification(notificationAdded),
    onError,
  });
  return subscription.unsubscribe;
}

export const tocsinClient = (url, getToken, options) =>
  createTocsinClient({ url, getToken, ...options });
