// Requests to the server that serves this page.

import { type Client, type ClientOptions, createClient } from "graphql-ws";

export type Headers = Record<string, string>;

// The page has the address of the API, also below the path of a proxy.
const API_URL = location.origin + location.pathname;

export const authorization = (key: string): Headers => ({ Authorization: `Bearer ${key}` });

export function sendOperation(
  operation: object,
  headers: Headers,
  signal?: AbortSignal,
): Promise<Response> {
  return fetch(API_URL, {
    method: "POST",
    headers: { accept: "application/json", "content-type": "application/json", ...headers },
    body: JSON.stringify(operation),
    signal,
  });
}

/** Creates a WebSocket client that does not reconnect, because the caller would miss events. */
export function createSocketClient(headers: Headers, on?: ClientOptions["on"]): Client {
  return createClient({
    url: API_URL.replace(/^http/, "ws"),
    connectionParams: Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
    ),
    retryAttempts: 0,
    on,
  });
}

export const isCredentialClose = (reason: unknown): reason is CloseEvent =>
  reason instanceof CloseEvent && (reason.code === 4401 || reason.code === 4403);
