// The parameters in the address of a page.

import { useCallback } from "react";
import { useSearchParams } from "react-router";

type Change = (now: URLSearchParams) => URLSearchParams;

/** A time in the address. Empty if it is not valid, because the address may be edited. */
export const timeOf = (text: string | null): string =>
  text && !Number.isNaN(Date.parse(text)) ? new Date(text).toISOString() : "";

/** Sets parameters. Those that are empty are removed. */
export const withParameters =
  (changes: Record<string, string>): Change =>
  (now) => {
    for (const [name, value] of Object.entries(changes)) {
      if (value) now.set(name, value);
      else now.delete(name);
    }
    return now;
  };

/**
 * The parameters in the address, and a function that changes them. It starts from the address that
 * the browser shows: React may still be rendering the previous change when the next one comes.
 */
export function useAddressParameters(): [URLSearchParams, (change: Change) => void] {
  const [parameters, setParameters] = useSearchParams();
  const changeParameters = useCallback(
    (change: Change) => setParameters(change(new URLSearchParams(window.location.search))),
    [setParameters],
  );
  return [parameters, changeParameters];
}
