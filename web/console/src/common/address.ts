// The parameters in the address of a page.

import { useCallback } from "react";
import { useSearchParams } from "react-router";

type Change = (now: URLSearchParams) => URLSearchParams;

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
