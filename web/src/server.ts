// Requests to the server that serves this page.

import { type Client, type ClientOptions, createClient } from "graphql-ws";

export type Headers = Record<string, string>;

const PATH = "/graphql";

export const authorization = (key: string): Headers => ({ Authorization: `Bearer ${key}` });

export function sendOperation(
  operation: object,
  headers: Headers,
  signal?: AbortSignal,
): Promise<Response> {
  return fetch(PATH, {
    method: "POST",
    headers: { accept: "application/json", "content-type": "application/json", ...headers },
    body: JSON.stringify(operation),
    signal,
  });
}

/** Creates a WebSocket client that does not reconnect, because the caller would miss events. */
export function createSocketClient(headers: Headers, on?: ClientOptions["on"]): Client {
  return createClient({
    url: new URL(PATH, location.href.replace(/^http/, "ws")).href,
    connectionParams: Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
    ),
    retryAttempts: 0,
    on,
  });
}

export const isCredentialClose = (reason: unknown): reason is CloseEvent =>
  reason instanceof CloseEvent && (reason.code === 4401 || reason.code === 4403);
