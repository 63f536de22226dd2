// Verifies a key before the page uses it.

import { authorization, sendOperation } from "./server";

/** Why a key cannot be used. A retry with the same key makes sense unless the key is invalid. */
export interface Problem {
  message: string;
  canRetry: boolean;
}

const TIMEOUT_MS = 15_000;

export const INVALID: Problem = {
  message: "This key is not valid. It may be incomplete, expired or revoked. Paste another key.",
  canRetry: false,
};

export const NO_LONGER_VALID: Problem = {
  message:
    "This key is no longer valid. It was revoked or has expired. " +
    "Paste another key to continue. Your tabs are kept.",
  canRetry: false,
};

const UNREACHABLE: Problem = {
  message: `The server at ${location.host} cannot be reached. Check that it is running and that you are online.`,
  canRetry: true,
};

function tooManyAttempts(retryAfter: string | null): Problem {
  const seconds = Number(retryAfter);
  const wait = seconds > 0 ? `${seconds} ${seconds === 1 ? "second" : "seconds"}` : "a minute";
  return {
    message: `The server rejected too many keys from this address. Wait ${wait}, then try again.`,
    canRetry: true,
  };
}

/** The response to a key: why it cannot be used, or the data of the query. */
type Verification<Data> = { problem: Problem } | { problem: null; data: Data | null };

/**
 * Sends a query that needs a credential and no permission. Its data is null if the key is valid for several
 * organizations, of which one has to be chosen in a header.
 */
export async function verifyKey<Data>(
  key: string,
  signal: AbortSignal,
  query = "{ __typename }",
): Promise<Verification<Data>> {
  const headers = authorization(key);
  try {
    new Headers(headers);
  } catch {
    return { problem: INVALID }; // It has characters that no header can carry.
  }
  const signals = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  try {
    const response = await sendOperation({ query }, headers, signals);
    if (response.ok) return { problem: null, data: (await response.json()).data };
    if (response.status === 403) return { problem: null, data: null };
    return { problem: describeRefusal(response) };
  } catch {
    return { problem: UNREACHABLE };
  }
}

function describeRefusal({ status, statusText, headers }: Response): Problem {
  if (status === 401) return INVALID;
  if (status === 429) return tooManyAttempts(headers.get("retry-after"));
  return {
    message: `The server could not verify the key (${`${status} ${statusText}`.trim()}). Try again in a moment.`,
    canRetry: true,
  };
}
