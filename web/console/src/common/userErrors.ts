import { TocsinError } from "@tocsin/client";

export interface Problem {
  code: string;
  message: string;
  path: readonly string[];
}

/** Returns the payload of a mutation. Throws its user errors as one error. */
export function checked<Payload extends { userErrors: readonly Problem[] }>(payload: Payload): Payload {
  const [first] = payload.userErrors;
  if (!first) return payload;
  throw new TocsinError(first.code, payload.userErrors.map(({ message }) => message).join("\n"));
}
