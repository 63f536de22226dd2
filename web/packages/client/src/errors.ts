/** An error of an operation, as in `errors` of a GraphQL response. */
export interface OperationError {
  message: string;
  path?: readonly (string | number)[];
  extensions?: { code?: string; path?: readonly string[]; [name: string]: unknown };
}

/**
 * A failed operation. `code` is the code of the first error in `errors` (see "Error codes" in the
 * documentation of Tocsin), or one of the client:
 *
 * - `UNAUTHENTICATED`: the server does not accept the token, nor the one that replaced it.
 * - `ORIGIN_REFUSED`: the server does not accept requests from pages of this origin.
 * - `NO_CURSOR`: the subscription cannot resume, because it does not select `cursor`.
 * - `CLOSED`: the server closed the connection with `closeCode`, and a retry would not succeed.
 * - `UNAVAILABLE`: the server or the network is not available. Subscriptions do not end with it.
 */
export class TocsinError extends Error {
  override name = "TocsinError";

  constructor(
    readonly code: string,
    message: string,
    readonly errors: readonly OperationError[] = [],
    readonly closeCode?: number,
  ) {
    super(message);
  }
}

export function fromOperationErrors(errors: readonly OperationError[]): TocsinError {
  const [first] = errors;
  return new TocsinError(
    first?.extensions?.code ?? "UNKNOWN",
    errors.map((error) => error.message).join("\n"),
    errors,
  );
}

/** Whether the operation can succeed if it is tried again. Other limits than rates do not change. */
export const isTemporary = (error: TocsinError): boolean =>
  error.code === "UNAVAILABLE" || retryAfterOf(error) > 0;

/** Seconds that the server asks to wait before a retry. */
export const retryAfterOf = ({ errors }: TocsinError): number => Number(errors[0]?.extensions?.retryAfterSeconds ?? 0);

/** A failure after which the operation can succeed if it is tried again. */
export class TemporaryError extends TocsinError {
  constructor(
    message: string,
    /** The connection failed before the server accepted it. */
    readonly neverConnected = false,
    errors?: readonly OperationError[],
  ) {
    super("UNAVAILABLE", message, errors);
  }
}

/** The server rejected this token. */
export class RejectedTokenError extends TocsinError {
  constructor(
    readonly token: string,
    message: string,
  ) {
    super("UNAUTHENTICATED", message);
  }
}
