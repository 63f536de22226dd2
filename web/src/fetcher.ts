// Carries GraphiQL's operations: subscriptions over one WebSocket each, all else as POST.
// Whatever goes wrong comes back as a result to read, never as a stack trace.

import type { GraphiQLProps } from "graphiql";
import { getOperationAST, parse, type ExecutionResult, type FieldNode, Kind } from "graphql";
import { createClient } from "graphql-ws";
import type { Panes } from "./panes";

type Fetcher = GraphiQLProps["fetcher"];
type Operation = Parameters<Fetcher>[0];
type Answer = ExecutionResult<any>;

const ADDRESS = "/graphql";
const SHOWN = 50;
const REFUSED =
  "The server refused the key. Choose Change key and paste any API key. " +
  "(The link with the first one was printed once, when the database was new.)";

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

function lost(close: string, field: FieldNode | undefined, newest: Answer | undefined): Answer {
  const cursor = field && newest?.data?.[(field.alias ?? field.name).value]?.cursor;
  const said = `The connection was lost (${close}).`;
  if (!cursor) return failure(`${said} Start the subscription again.`);
  const resume = `${field.name.value}(after: …) with the cursor below resumes without a gap.`;
  // A key of its own, to be copied with its quotes: inside the message they would be escaped.
  return { ...failure(`${said} ${resume}`), after: cursor } as Answer;
}

function whyItClosed(reason: unknown, whenLost: (close: string) => Answer): Answer {
  if (Array.isArray(reason)) return { errors: reason };
  if (!(reason instanceof CloseEvent)) return failure("The connection could not be made.");
  const close = `${reason.code} ${reason.reason}`.trim();
  if (reason.code === 4401 || reason.code === 4403) return failure(`${REFUSED} (${close})`);
  return whenLost(close);
}

// An observable, not an async generator: a generator cannot be ended while it waits for an event.
function subscribe(
  operation: Operation,
  field: FieldNode | undefined,
  headers: Record<string, string>,
  panes: Panes,
): ReturnType<Fetcher> {
  const connectionParams = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
  const observable = {
    // What it tells goes to its own tab's pane: GraphiQL's observer only knows the active tab.
    subscribe: () =>
      panes.open((show) => {
        const newestFirst: Answer[] = [];
        let received = 0;
        const tell = (more: object = {}, last = false) =>
          show({ ...more, received, newestFirst }, last);
        const client = createClient({
          url: new URL(ADDRESS, location.href.replace(/^http/, "ws")).href,
          connectionParams,
          retryAttempts: 0, // Events between two connections would be missed in silence.
          on: { connected: () => tell() },
        });
        client.subscribe<any>(
          { ...operation, operationName: operation.operationName ?? undefined },
          {
            next(answer) {
              received += 1;
              newestFirst.unshift(answer as Answer);
              newestFirst.splice(SHOWN);
              tell();
            },
            error: (reason) =>
              tell(whyItClosed(reason, (close) => lost(close, field, newestFirst[0])), true),
            complete: () => tell({ closed: "The server ended the subscription." }, true),
          },
        );
        return () => void client.dispose();
      }),
  };
  // Of the three ways to call it in the declared type, GraphiQL uses this one.
  return observable as unknown as ReturnType<Fetcher>;
}

export function fetcherWith(defaultHeaders: Record<string, string>, panes: Panes): Fetcher {
  return (operation, options) => {
    // GraphiQL asks for the schema before its headers editor exists, so without any.
    const headers = options?.headers ?? defaultHeaders;
    try {
      // For a moment after a change of tabs it still names the operation of the last one.
      const document = parse(operation.query);
      const { operationName } = operation;
      const chosen = getOperationAST(document, operationName) ?? getOperationAST(document);
      const named = { ...operation, operationName: chosen?.name?.value };
      if (chosen?.operation === "subscription") {
        const field = chosen.selectionSet.selections.find((node) => node.kind === Kind.FIELD);
        return subscribe(named, field, headers, panes);
      }
      return post(named, headers);
    } catch {
      return post(operation, headers); // The server says best what is wrong with the document.
    }
  };
}
