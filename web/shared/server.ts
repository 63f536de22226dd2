// Requests to the server that serves this page: GraphiQL or the console.

import { type Client, type ClientOptions, createClient } from "graphql-ws";

export type Headers = Record<string, string>;

// Scripts are served two folders below the root of the server, which may be below the path of a proxy.
const script = import.meta.url;
/** Root of the server, with a slash at its end. */
export const ROOT = new URL("../../", script);
export const API_URL = new URL("graphql", ROOT).href;

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
