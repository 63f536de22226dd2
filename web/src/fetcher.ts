// Carries GraphiQL's operations: subscriptions over one WebSocket each, all else as POST.
// Whatever goes wrong comes back as a result to read, never as a stack trace.

import type { GraphiQLProps } from "graphiql";
import { getOperationAST, parse, type ExecutionResult } from "graphql";
import { createClient } from "graphql-ws";

type Fetcher = GraphiQLProps["fetcher"];
type Operation = Parameters<Fetcher>[0];
type Answer = ExecutionResult<any>;
type Observer = { next(answer: Answer): void; error(reason: unknown): void; complete(): void };

const ADDRESS = "/graphql";
const SHOWN = 50;
const REFUSED = "The server refused the key. Open the link that it printed, or choose Change key.";

const failure = (message: string): Answer => ({ errors: [{ message }] }) as unknown as Answer;

async function post(operation: Operation, headers: Record<string, string>): Promise<Answer> {
  try {
    const response = await fetch(ADDRESS, {
      method: "POST",
      headers: { accept: "application/json", "content-type": "application/json", ...headers },
      body: JSON.stringify(operation),
    });
    const text = await response.text();
    const status = `${response.status} ${response.statusText}`.trim();
    const refused = response.status === 401 ? failure(`${REFUSED} (${status})`) : null;
    try {
      const answer = JSON.parse(text) as Answer;
      return refused ? ({ ...refused, answer } as Answer) : answer;
    } catch {
      return refused ?? failure(`The server did not answer in JSON (${status}): ${text}`);
    }
  } catch (reason) {
    return failure(`The request could not be sent: ${(reason as Error).message}`);
  }
}

function whyItClosed(reason: unknown): Answer {
  if (Array.isArray(reason)) return { errors: reason };
  if (!(reason instanceof CloseEvent)) return failure("The connection could not be made.");
  const close = `${reason.code} ${reason.reason}`.trim();
  if (reason.code === 4401 || reason.code === 4403) return failure(`${REFUSED} (${close})`);
  return failure(`The connection was lost (${close}). Start the subscription again.`);
}

// An observable, not an async generator: a generator cannot be ended while it waits for an event.
function subscribe(operation: Operation, headers: Record<string, string>): ReturnType<Fetcher> {
  const connectionParams = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
  const observable = {
    subscribe(observer: Observer) {
      const newestFirst: Answer[] = [];
      let received = 0;
      let stopped = false;
      // After a stop the pane may already belong to another tab, or to another run.
      const show = (more: object = {}) => {
        if (!stopped) observer.next({ ...more, received, newestFirst } as Answer);
      };
      const end = (more: object) => {
        show(more);
        if (!stopped) observer.complete();
      };
      const client = createClient({
        url: new URL(ADDRESS, location.href.replace(/^http/, "ws")).href,
        connectionParams,
        retryAttempts: 0, // Events between two connections would be missed in silence.
        on: { connected: () => show() },
      });
      client.subscribe<any>(
        { ...operation, operationName: operation.operationName ?? undefined },
        {
          next(answer) {
            received += 1;
            newestFirst.unshift(answer as Answer);
            newestFirst.splice(SHOWN);
            show();
          },
          error: (reason) => end(whyItClosed(reason)),
          complete: () => end({ closed: "The server ended the subscription." }),
        },
      );
      return {
        unsubscribe() {
          stopped = true;
          void client.dispose();
        },
      };
    },
  };
  // Of the three ways to call it in the declared type, GraphiQL uses this one.
  return observable as unknown as ReturnType<Fetcher>;
}

export function fetcherWith(defaultHeaders: Record<string, string>): Fetcher {
  return (operation, options) => {
    // GraphiQL asks for the schema before its headers editor exists, so without any.
    const headers = options?.headers ?? defaultHeaders;
    try {
      // For a moment after a change of tabs it still names the operation of the last one.
      const document = parse(operation.query);
      const { operationName } = operation;
      const chosen = getOperationAST(document, operationName) ?? getOperationAST(document);
      const named = { ...operation, operationName: chosen?.name?.value };
      if (chosen?.operation === "subscription") return subscribe(named, headers);
      return post(named, headers);
    } catch {
      return post(operation, headers); // The server says best what is wrong with the document.
    }
  };
}
