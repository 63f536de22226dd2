import { fromOperationErrors, type OperationError, RejectedTokenError, TemporaryError, TocsinError } from "./errors.js";

export interface Operation {
  query: string;
  variables: Record<string, unknown>;
}

export interface Result {
  data?: any;
  errors?: OperationError[];
}

export interface Endpoint {
  url: string;
  headers: Record<string, string>;
  fetch: typeof fetch;
  /** Milliseconds without any data after which an event stream is lost. */
  maxSilence: number;
  /** Milliseconds after which a response that is not complete is lost. */
  requestTimeout: number;
}

const MAX_TIMEOUT_MS = 2 ** 31 - 1; // of setTimeout

/** Sends an operation. Throws a TocsinError unless the response has data without errors. */
export async function sendOperation(
  endpoint: Endpoint,
  token: string,
  operation: Operation,
  signal?: AbortSignal,
): Promise<any> {
  const stop = new AbortController();
  const signals = AbortSignal.any([stop.signal, ...(signal ? [signal] : [])]);
  const { requestTimeout } = endpoint;
  const reason = `The server has not responded within ${requestTimeout / 1000} s (\`requestTimeout\`).`;
  const timer = setTimeout(() => stop.abort(new TemporaryError(reason)), Math.min(requestTimeout, MAX_TIMEOUT_MS));
  try {
    const response = await post(endpoint, token, operation, "application/json", signals);
    return dataOf(await readJson(response, signals));
  } finally {
    clearTimeout(timer);
  }
}

async function readJson(response: Response, signal: AbortSignal): Promise<Result> {
  try {
    return await response.json();
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof SyntaxError)) throw new TemporaryError(`The connection was lost: ${error}`);
    throw new TocsinError("UNKNOWN", "The response is not JSON: is `url` that of the GraphQL API?");
  }
}

/** Yields the results of a subscription, as server-sent events. Returns when it is complete. */
export async function* streamResults(
  endpoint: Endpoint,
  token: string,
  operation: Operation,
  signal: AbortSignal,
): AsyncGenerator<Result | null> {
  const stop = new AbortController();
  const end = () => stop.abort(new TemporaryError("The server has sent nothing for too long."));
  let timer = setTimeout(end, endpoint.maxSilence);
  try {
    const signals = AbortSignal.any([signal, stop.signal]);
    const response = await post(endpoint, token, operation, "text/event-stream", signals);
    yield null; // connected
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      let chunk: ReadableStreamReadResult<string>;
      try {
        chunk = await reader.read();
      } catch (error) {
        throw new TemporaryError(`The connection was lost: ${error}`);
      }
      if (chunk.done) throw new TemporaryError("The server ended the stream.");
      clearTimeout(timer);
      timer = setTimeout(end, endpoint.maxSilence);
      text += chunk.value;
      for (let size: number; (size = text.indexOf("\n\n")) >= 0; ) {
        const lines = text.slice(0, size).split("\n");
        text = text.slice(size + 2);
        const field = (name: string) =>
          lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
        if (field("event") === "complete") return;
        const data = field("data");
        if (field("event") === "next" && data) yield JSON.parse(data);
      }
    }
  } finally {
    clearTimeout(timer);
    stop.abort(); // the connection of a subscription that failed
  }
}

/** Returns the data of a result. Throws its errors. */
export function dataOf(result: Result): any {
  if (result.errors?.length) throw fromOperationErrors(result.errors);
  return result.data;
}

async function post(
  endpoint: Endpoint,
  token: string,
  operation: Operation,
  accept: string,
  signal?: AbortSignal,
): Promise<Response> {
  let response: Response;
  try {
    response = await endpoint.fetch(endpoint.url, {
      method: "POST",
      headers: buildHeaders(endpoint, token, accept),
      body: JSON.stringify(operation),
      signal,
    });
  } catch (error) {
    signal?.throwIfAborted();
    if (await isOriginRefused(endpoint, token)) throw originError();
    throw new TemporaryError(`The server cannot be reached: ${error}`, true);
  }
  if (response.ok) return response;
  const body: Result = await response.json().catch(() => ({}));
  const error = body.errors?.length ? fromOperationErrors(body.errors) : null;
  const message = error?.message ?? `The server responded with status ${response.status}.`;
  if (response.status === 401) throw new RejectedTokenError(token, message);
  if (response.status === 429 || response.status >= 500) throw new TemporaryError(message, false, error?.errors);
  throw error ?? new TocsinError("CLOSED", message);
}

const buildHeaders = (endpoint: Endpoint, token: string, accept: string) => ({
  accept,
  "content-type": "application/json",
  ...endpoint.headers,
  authorization: `Bearer ${token}`,
});

/**
 * Whether the server can be reached, but not by pages of this origin: a browser then reports the
 * same error as for a server that is down, except for a request whose response it does not show.
 */
async function isOriginRefused(endpoint: Endpoint, token: string): Promise<boolean> {
  const { url, fetch } = endpoint;
  if (typeof location === "undefined" || new URL(url).origin === location.origin) return false;
  const isSent = (init: RequestInit) => fetch(url, init).then(() => true, () => false);
  const isReachable = () => isSent({ mode: "no-cors" });
  const isAccepted = () =>
    isSent({
      method: "POST",
      headers: buildHeaders(endpoint, token, "application/json"),
      body: '{"query":"{__typename}"}',
    });
  // A server that has started since the request failed does not refuse the next one.
  return (await isReachable()) && !(await isAccepted()) && (await isReachable());
}

export function originError(): TocsinError {
  return new TocsinError(
    "ORIGIN_REFUSED",
    `The server does not accept requests from pages of ${location.origin}. Add the origin to ` +
      "TOCSIN_CORS_ORIGINS.",
  );
}
