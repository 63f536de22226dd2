import { TocsinError } from "@tocsin/client";

export interface Problem {
  code: string;
  message: string;
  path: readonly string[];
}

/** The user errors of a mutation. Its message has all of them. */
export class RejectedError extends TocsinError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems[0]!.code, problems.map(({ message }) => message).join("\n"));
    this.problems = problems;
  }
}

/** Returns the payload of a mutation. Throws its user errors as one error. */
export function checked<Payload extends { userErrors: readonly Problem[] }>(payload: Payload): Payload {
  if (payload.userErrors.length === 0) return payload;
  throw new RejectedError(payload.userErrors);
}

/** The messages of the user errors at an argument, such as `name` for the path `input.name`. */
export function problemsAt(error: unknown, argument: string): string | undefined {
  if (!(error instanceof RejectedError)) return undefined;
  const messages = error.problems
    .filter(({ path }) => path.includes(argument))
    .map(({ message }) => message);
  return messages.join("\n") || undefined;
}
