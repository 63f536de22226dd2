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

function tooManyAttempts(retryAfter: string | null): Problem {
  const seconds = Number(retryAfter);
  const wait = seconds > 0 ? `${seconds} ${seconds === 1 ? "second" : "seconds"}` : "a minute";
  return {
    message: `The server rejected too many keys from this address. Wait ${wait}, then try again.`,
    canRetry: true,
  };
}

/** Returns null if the server accepts the key, whatever its permissions. */
export async function verifyKey(key: string, signal: AbortSignal): Promise<Problem | null> {
  const headers = authorization(key);
  try {
    new Headers(headers);
  } catch {
    return INVALID; // It has characters that no header can carry.
  }
  let response: Response;
  try {
    // Needs a credential and no permission.
    response = await sendOperation(
      { query: "{ __typename }" },
      headers,
      AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    );
  } catch {
    return {
      message: `The server at ${location.host} cannot be reached. Check that it is running and that you are online.`,
      canRetry: true,
    };
  }
  if (response.status === 401) return INVALID;
  if (response.status === 429) return tooManyAttempts(response.headers.get("retry-after"));
  // 403: The key is valid, and its organization has to be chosen in a header.
  if (response.ok || response.status === 403) return null;
  const status = `${response.status} ${response.statusText}`.trim();
  return {
    message: `The server could not verify the key (${status}). Try again in a moment.`,
    canRetry: true,
  };
}
