import { type Document, printDocument, TocsinError } from "@tocsin/client";
import { EventFieldsDocument } from "./operations.js";

const MAX_DELAY_MS = 10_000;

/** Repeats a request until the server is available. Throws other errors. */
export async function retry<Result>(
  signal: AbortSignal,
  request: () => Promise<Result>,
  onWaiting?: (error: TocsinError) => void,
): Promise<Result> {
  for (let delay = 100; ; delay = Math.min(2 * delay, MAX_DELAY_MS)) {
    signal.throwIfAborted();
    try {
      return await request();
    } catch (error) {
      if (!(error instanceof TocsinError) || error.code !== "UNAVAILABLE") throw error;
      onWaiting?.(error);
    }
    await new Promise((resolve) => setTimeout(resolve, delay * (0.5 + Math.random() / 2)));
  }
}

export function asTocsinError(error: unknown): TocsinError {
  if (error instanceof TocsinError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return Object.assign(new TocsinError("UNKNOWN", message), { cause: error });
}

/** Throws the errors that prevented a change. */
export function throwUserErrors(
  errors: readonly { code: string; message: string; path: readonly string[] }[],
): void {
  const [first] = errors;
  if (first === undefined) return;
  const operationErrors = errors.map(({ code, message, path }) => ({
    message,
    path,
    extensions: { code },
  }));
  const message = errors.map((error) => error.message).join("\n");
  throw new TocsinError(first.code, message, operationErrors);
}

/** Fields of each event that a hook returns: a document with one fragment on `Event`. */
export type EventFragment<Fields> = Document<Fields, any>;

/** Returns the document with a fragment of the caller instead of the default fields. */
export function withFragment<Data, Variables>(
  document: Document<Data, Variables>,
  fragment: EventFragment<any> = EventFieldsDocument,
): Document<Data, Variables> {
  const text = printDocument(fragment);
  const name = /^\s*fragment\s+(\w+)\s+on\s+Event\b/.exec(text)?.[1];
  if (name === undefined) {
    throw new TocsinError("GRAPHQL_VALIDATION_FAILED", "`fragment` must be a fragment on Event.");
  }
  return `${printDocument(document).replaceAll("...EventFields", `...${name}`)}\n${text}`;
}
