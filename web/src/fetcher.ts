// Sends GraphiQL's operations: each subscription over a WebSocket of its own, all others by POST.
// Every failure is returned as a result to read, never as a stack trace.

import type { GraphiQLProps } from "graphiql";
import {
  buildClientSchema,
  type ExecutionResult,
  type FieldNode,
  getOperationAST,
  introspectionFromSchema,
  Kind,
  lexicographicSortSchema,
  parse,
} from "graphql";
import type { Panes } from "./panes";
import { createSocketClient, type Headers, isCredentialClose, sendOperation } from "../shared/server";

type Fetcher = GraphiQLProps["fetcher"];
type Operation = Parameters<Fetcher>[0];
type Result = ExecutionResult<any>;

/** The name of GraphiQL's own introspection. One that a user writes is returned as it is. */
export const INTROSPECTION = "GraphiQLIntrospection";

const MAX_SHOWN = 50;
const REJECTED =
  "The server rejected the key. Choose Change key and paste a valid API key or access token.";

const failure = (message: string): Result => ({ errors: [{ message }] }) as unknown as Result;

async function post(
  operation: Operation,
  headers: Headers,
  onRejected: () => void,
): Promise<Result> {
  try {
    const response = await sendOperation(operation, headers);
    const text = await response.text();
    const status = `${response.status} ${response.statusText}`.trim();
    const rejected = response.status === 401 ? failure(`${REJECTED} (${status})`) : null;
    if (rejected) onRejected();
    try {
      const response = JSON.parse(text) as Result;
      return rejected ? ({ ...rejected, response } as Result) : response;
    } catch {
      return rejected ?? failure(`The response of the server is not JSON (${status}): ${text}`);
    }
  } catch (reason) {
    return failure(
      `The server cannot be reached: ${(reason as Error).message}. ` +
        "Check that it is running, then run the operation again.",
    );
  }
}

/** Sorts types, fields, arguments and values by name, for the documentation explorer. */
function sortSchema(result: Result): Result {
  if (!result.data) return result;
  const schema = lexicographicSortSchema(buildClientSchema(result.data));
  return { ...result, data: introspectionFromSchema(schema) };
}

function connectionLost(
  close: CloseEvent,
  field: FieldNode | undefined,
  newest: Result | undefined,
): Result {
  const cursor = field && newest?.data?.[(field.alias ?? field.name).value]?.cursor;
  const [reason] = close.reason.split(". ");
  const why = reason ? `: ${reason.replace(/\.$/, "")}` : "";
  const lost = `The connection was lost${why} (${close.code}).`;
  if (!cursor) return failure(`${lost} Start the subscription again.`);
  const resume = `To resume without a gap, use ${field.name.value}(after: …) with the cursor below.`;
  // The cursor has a key of its own because quotes inside the message would be escaped.
  return { ...failure(`${lost} ${resume}`), after: cursor } as Result;
}

function explainClose(reason: unknown, onLost: (close: CloseEvent) => Result): Result {
  if (Array.isArray(reason)) return { errors: reason };
  if (!(reason instanceof CloseEvent)) {
    return failure("The WebSocket connection failed. Start the subscription again.");
  }
  if (!isCredentialClose(reason)) return onLost(reason);
  const close = `${reason.code} ${reason.reason}`.trim();
  return failure(`${REJECTED} If you added an organization header, check it. (${close})`);
}

// An observable, not an async generator: a generator cannot be ended while it waits for an event.
function subscribe(
  operation: Operation,
  field: FieldNode | undefined,
  headers: Headers,
  panes: Panes,
  onRejected: () => void,
): ReturnType<Fetcher> {
  const observable = {
    // Results go to the pane of their own tab: GraphiQL's observer only uses the active tab.
    subscribe: () =>
      panes.open((show) => {
        const newestFirst: Result[] = [];
        let received = 0;
        let isConnected = false;
        const update = (more: object = {}, isLast = false) =>
          show({ ...more, received, newestFirst }, isLast);
        const client = createSocketClient(headers, {
          connected: () => {
            isConnected = true;
            update();
          },
        });
        client.subscribe<any>(
          { ...operation, operationName: operation.operationName ?? undefined },
          {
            next(result) {
              received += 1;
              newestFirst.unshift(result as Result);
              newestFirst.splice(MAX_SHOWN);
              update();
            },
            error(reason) {
              const lost = (close: CloseEvent) => connectionLost(close, field, newestFirst[0]);
              update(explainClose(reason, lost), true);
              if (!isConnected && isCredentialClose(reason)) onRejected();
            },
            complete: () => update({ closed: "The server ended the subscription." }, true),
          },
        );
        return () => void client.dispose();
      }),
  };
  // Of the three ways to call it in the declared type, GraphiQL uses this one.
  return observable as unknown as ReturnType<Fetcher>;
}

/** Calls `onRejected` if the server rejects a request with the key of the default headers. */
export function createFetcher(
  defaultHeaders: Headers,
  panes: Panes,
  onRejected: () => void,
): Fetcher {
  return (operation, options) => {
    // GraphiQL introspects before its headers editor exists, so it passes no headers then.
    const headers: Headers = options?.headers ?? defaultHeaders;
    const report = () => {
      if (headers.Authorization === defaultHeaders.Authorization) onRejected();
    };
    if (operation.operationName === INTROSPECTION) {
      return post(operation, headers, report).then(sortSchema);
    }
    try {
      // For a moment after a change of tabs it still names the operation of the previous tab.
      const document = parse(operation.query);
      const { operationName } = operation;
      const chosen = getOperationAST(document, operationName) ?? getOperationAST(document);
      const named = { ...operation, operationName: chosen?.name?.value };
      if (chosen?.operation === "subscription") {
        const field = chosen.selectionSet.selections.find((node) => node.kind === Kind.FIELD);
        return subscribe(named, field, headers, panes, report);
      }
      return post(named, headers, report);
    } catch {
      return post(operation, headers, report); // The server explains what is wrong with the document.
    }
  };
}
