import { type Client as SocketClient, createClient } from "graphql-ws";
import { type Document, printDocument } from "./document.js";
import {
  fromOperationErrors,
  isTemporary,
  type OperationError,
  RejectedTokenError,
  retryAfterOf,
  TemporaryError,
  TocsinError,
} from "./errors.js";
import { dataOf, type Endpoint, type Operation, type Result, sendOperation, streamResults } from "./http.js";
import { type GetToken, Tokens } from "./tokens.js";

export interface TocsinClientOptions {
  /** URL of the GraphQL API, such as `https://tocsin.example/graphql` or, in a page of the server, `/graphql`. */
  url: string;
  /**
   * Returns an API key or an access token. If the server has rejected the last one, it is passed:
   * return a new one then, or the same one to give up. If it throws, subscriptions try it again.
   */
  getToken: GetToken;
  /** Key of the organization, if the token allows more than one. */
  organization?: string;
  /** `auto`, the default, uses WebSockets, and server-sent events where WebSockets are blocked. */
  transport?: "auto" | "websocket" | "sse";
  /**
   * Milliseconds between two pings of a WebSocket. If the server does not respond before the next one, the connection
   * is lost, although no error has been reported. An event stream without data for four times as long is lost, too.
   * Default 15,000.
   */
  pingInterval?: number;
  /**
   * Milliseconds after which `request` fails with `UNAVAILABLE` if the server has not sent the whole
   * response. Default 75,000: the server ends mutations after 60 seconds.
   */
  requestTimeout?: number;
  /** Implementations for environments without their own. */
  fetch?: typeof fetch;
  webSocketImpl?: unknown;
}

export interface RequestOptions {
  /** Cancels the request, which throws the reason of the signal. */
  signal?: AbortSignal;
}

export type ConnectionStatus = "connecting" | "connected" | "waiting";

export interface SubscribeOptions<Data, Variables> {
  variables?: Omit<Variables, "after">;
  /**
   * Cursor after which the subscription starts, sent as the variable `$after`. If it is undefined
   * and the document declares `$after`, the subscription starts at the current end of the change
   * log.
   */
  after?: string | null;
  /** Gets the data of each message, once and in order. */
  onData: (data: Data) => void;
  /**
   * Called once if entries after the cursor are no longer available: messages were missed. Load the
   * list again, and return a cursor to continue from it; by default, the subscription continues at
   * the current end of the change log. Without it, the subscription ends with `CURSOR_EXPIRED`.
   */
  onGap?: () => string | null | undefined | void | Promise<string | null | undefined | void>;
  /** The subscription has ended, because a retry cannot succeed. */
  onError?: (error: TocsinError) => void;
  onComplete?: () => void;
  /** `waiting`: the connection was lost, and `error` says why; it is tried again. */
  onStatus?: (status: ConnectionStatus, error?: TocsinError) => void;
}

export interface TocsinSubscription {
  /** The cursor of the last message, to resume after a restart of the page. */
  readonly cursor: string | null;
  unsubscribe: () => void;
}

export interface TocsinClient {
  /** Runs a query or a mutation. Throws a TocsinError. */
  request: <Data = any, Variables extends object = Record<string, unknown>>(
    document: Document<Data, Variables>,
    variables?: Variables,
    options?: RequestOptions,
  ) => Promise<Data>;
  /** Starts a subscription, which resumes without a gap after a lost connection. */
  subscribe: <Data = any, Variables extends object = Record<string, unknown>>(
    document: Document<Data, Variables>,
    options: SubscribeOptions<Data, Variables>,
  ) => TocsinSubscription;
  /** Ends all subscriptions and closes the connection. */
  close: () => void;
}

const LOG_HEAD = "{ logHead }";
// See "Close codes" in the documentation of Tocsin. 1000 and 1001: the page is left. 4005 and 4499 are of graphql-ws: there
// is no token, and no response.
const RETRIED_CLOSE_CODES = new Set([1000, 1001, 1005, 1006, 1012, 1013, 4005, 4408, 4499, 4500]);
const CREDENTIAL_CLOSE_CODES = new Set([4401, 4403]);
// WebSockets that fail this often while HTTP works are blocked, for example by a proxy.
const MAX_FAILED_SOCKETS = 2;
// A connection that lasted this long was a good one: the next retry is quick again.
const STABLE_MS = 10_000;
const CONNECT_MS = 20_000;

export function createTocsinClient(options: TocsinClientOptions): TocsinClient {
  const tokens = new Tokens(options.getToken);
  const organization = options.organization;
  const { transport = "auto", pingInterval = 15_000, requestTimeout = 75_000 } = options;
  const endpoint: Endpoint = {
    maxSilence: 4 * pingInterval,
    requestTimeout,
    url: typeof location === "undefined" ? options.url : new URL(options.url, location.href).href,
    headers: organization ? { "data-partition-id": organization } : {},
    fetch: options.fetch ?? ((input, init) => fetch(input, init)),
  };
  const hasSockets = options.webSocketImpl !== undefined || typeof WebSocket !== "undefined";
  let usesEvents = transport === "sse" || (transport === "auto" && !hasSockets);
  let isOpen = false;
  let wasAccepted = false;
  let connections = 0;
  let failedSockets = 0;
  // Of all subscriptions: they ask once why a connection was refused, and try it again together.
  let probedConnection = 0;
  let probe: Promise<void> | undefined;
  let reconnectPause: Promise<void> | undefined;
  let socketToken = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  let sockets: SocketClient | null = null;
  const running = new Set<AbortController>();

  function openSockets(): SocketClient {
    return (sockets ??= createClient({
      url: endpoint.url.replace(/^http/, "ws"),
      webSocketImpl: options.webSocketImpl,
      retryAttempts: 0,
      keepAlive: pingInterval,
      connectionParams: async () => {
        socketToken = await tokens.take();
        return { ...endpoint.headers, authorization: `Bearer ${socketToken}` };
      },
      on: {
        connecting: () => {
          terminateAfter(CONNECT_MS);
          connections++;
          wasAccepted = false;
        },
        connected: () => {
          clearTimeout(timer);
          isOpen = wasAccepted = true;
          failedSockets = 0;
          tokens.accept(socketToken);
        },
        ping: (isReceived) => {
          if (!isReceived) terminateAfter(pingInterval);
        },
        pong: (isReceived) => {
          if (isReceived) clearTimeout(timer);
        },
        closed: () => {
          clearTimeout(timer);
          isOpen = false;
        },
      },
    }));
  }

  function terminateAfter(milliseconds: number): void {
    clearTimeout(timer);
    timer = setTimeout(() => sockets?.terminate(), milliseconds);
  }

  async function request(document: Document<any, any>, variables = {}, { signal }: RequestOptions = {}) {
    const operation = { query: printDocument(document), variables };
    for (;;) {
      const token = await tokens.take();
      try {
        const data = await sendOperation(endpoint, token, operation, signal);
        tokens.accept(token);
        return data;
      } catch (error) {
        if (!(error instanceof RejectedTokenError)) throw error;
        tokens.reject(error.token, error.message);
      }
    }
  }

  /** Follows one connection. Returns when the subscription is complete; throws a TocsinError. */
  async function follow(
    operation: Operation,
    signal: AbortSignal,
    onConnected: () => void,
    onResult: (result: Result) => void,
  ): Promise<void> {
    if (usesEvents) {
      const token = await tokens.take();
      for await (const result of streamResults(endpoint, token, operation, signal)) {
        if (result) {
          onResult(result);
        } else {
          tokens.accept(token);
          onConnected();
        }
      }
      return;
    }
    try {
      await followSocket(operation, signal, onConnected, onResult);
    } catch (error) {
      if (!(error instanceof TemporaryError) || !error.neverConnected) throw error;
      // A refused handshake looks like a lost connection. HTTP says why.
      if (probedConnection !== connections) {
        probedConnection = connections;
        probe = request(LOG_HEAD).then(() => void failedSockets++);
      }
      await probe;
      if (failedSockets >= MAX_FAILED_SOCKETS && transport === "auto") usesEvents = true;
      throw error;
    }
  }

  function followSocket(
    operation: Operation,
    signal: AbortSignal,
    onConnected: () => void,
    onResult: (result: Result) => void,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const client = openSockets();
      if (isOpen) onConnected();
      const stopListening = client.on("connected", onConnected);
      const unsubscribe = client.subscribe(operation, {
        next: (result) => {
          try {
            onResult(result as Result);
          } catch (error) {
            reject(error);
            unsubscribe();
          }
        },
        error: (reason) => {
          leave();
          unsubscribe(); // graphql-ws counts the subscription until it is unsubscribed
          reject(fromSocketFailure(reason));
        },
        complete: () => {
          leave();
          resolve();
        },
      });
      function leave(): void {
        stopListening();
        signal.removeEventListener("abort", unsubscribe);
      }
      signal.addEventListener("abort", unsubscribe);
    });
  }

  /** Waits as long as the first subscription that waits, or until it ends. */
  function pauseTogether(milliseconds: number, signal: AbortSignal): Promise<void> {
    return (reconnectPause ??= pause(milliseconds, signal).finally(() => (reconnectPause = undefined)));
  }

  function fromSocketFailure(reason: unknown): TocsinError {
    if (reason instanceof TocsinError) return reason; // of getToken
    if (Array.isArray(reason)) return fromOperationErrors(reason as OperationError[]);
    const { code, reason: text } = reason as { code?: number; reason?: string };
    if (code === undefined) {
      return new TemporaryError(`The connection failed: ${describe(reason)}`, !wasAccepted);
    }
    const message = `The server closed the connection with code ${code}${text ? `: ${text}` : "."}`;
    if (CREDENTIAL_CLOSE_CODES.has(code)) return new RejectedTokenError(socketToken, message);
    return RETRIED_CLOSE_CODES.has(code)
      ? new TemporaryError(message, !wasAccepted && (code === 1006 || code === 4499))
      : new TocsinError("CLOSED", message, [], code);
  }

  function subscribe(
    document: Document<any, any>,
    { variables, after, onData, onGap, onError, onComplete, onStatus }: SubscribeOptions<any, any>,
  ): TocsinSubscription {
    const query = printDocument(document);
    const stop = new AbortController();
    const { signal } = stop;
    running.add(stop);
    const startsAtCursor = after !== undefined || /\$after\b/.test(query);
    let cursor = after ?? null;
    let retries = 0;
    let connectedAt = Infinity;

    function handleConnected(): void {
      connectedAt = Date.now();
      onStatus?.("connected");
    }

    function handleResult(result: Result): void {
      if (signal.aborted) return;
      const data = dataOf(result);
      const [entry] = Object.values<any>(data);
      if (startsAtCursor && !entry?.cursor) {
        throw new TocsinError("NO_CURSOR", "Select `cursor` in the subscription, to resume after it.");
      }
      if (startsAtCursor) cursor = entry.cursor;
      retries = 0;
      onData(data);
    }

    /** Throws an error after which a retry cannot succeed. */
    async function recover(error: unknown): Promise<void> {
      if (error instanceof RejectedTokenError) {
        tokens.reject(error.token, error.message);
      } else if (error instanceof TocsinError && error.code === "CURSOR_EXPIRED" && onGap) {
        try {
          cursor = (await onGap()) ?? null;
        } catch (failure) {
          await waitAfter(failure);
        }
      } else {
        await waitAfter(error);
      }
    }

    async function waitAfter(error: unknown): Promise<void> {
      if (!(error instanceof TocsinError) || !isTemporary(error)) throw error;
      if (Date.now() - connectedAt > STABLE_MS) retries = 0;
      onStatus?.("waiting", error);
      const milliseconds = retryAfterOf(error) * 1000 + delayOf(retries++);
      await (isOpen || usesEvents ? pause(milliseconds, signal) : pauseTogether(milliseconds, signal));
    }

    async function run(): Promise<void> {
      while (!signal.aborted) {
        try {
          connectedAt = Infinity;
          onStatus?.("connecting");
          if (startsAtCursor) cursor ??= (await request(LOG_HEAD, {}, { signal })).logHead;
          const operation = { query, variables: { ...variables, ...(startsAtCursor && { after: cursor }) } };
          await follow(operation, signal, handleConnected, handleResult);
          return onComplete?.();
        } catch (error) {
          if (signal.aborted) return;
          await recover(error);
        }
      }
    }

    void run()
      .catch((error) => {
        if (!signal.aborted) onError?.(error instanceof TocsinError ? error : wrapError(error));
      })
      .finally(() => running.delete(stop));

    return {
      get cursor() {
        return cursor;
      },
      unsubscribe: () => stop.abort(),
    };
  }

  function close(): void {
    for (const stop of running) stop.abort();
    void sockets?.dispose();
    sockets = null;
  }

  return { request, subscribe, close };
}

const wrapError = (error: unknown): TocsinError =>
  Object.assign(new TocsinError("UNKNOWN", describe(error)), { cause: error });

const describe = (error: unknown): string =>
  error instanceof Error ? error.message : String((error as { message?: unknown })?.message ?? error);

/** Milliseconds to wait before a retry: up to 10 s, and different for each client. */
const delayOf = (retries: number): number =>
  Math.min(100 * 2 ** retries, 10_000) * (0.5 + Math.random() / 2);

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
