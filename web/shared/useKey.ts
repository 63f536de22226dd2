// The key of a page: from its link, this tab, another tab or the sign-in form. It is verified before the page uses it.

import { useCallback, useEffect, useLayoutEffect, useState } from "react";
import { forgetKey, keepKey, keyInLink, removeLink, shareKey, storedKey } from "./key";
import { type Problem, verifyKey } from "./verify";

/** A key that is being verified, or that has a problem. */
interface Candidate {
  key: string;
  problem: Problem | null;
}

interface AcceptedKey<Data> {
  key: string;
  /** Data of the query that verified the key. Null if an organization has to be chosen. */
  data: Data | null;
}

interface KeyState<Data> {
  /** The key that the server has accepted. */
  key: string | null;
  data: Data | null;
  candidate: Candidate | null;
  isVerifying: boolean;
  verify: (key: string) => void;
  /** Verifies the candidate again. */
  retry: () => void;
  /** Keeps the present key instead of the candidate. */
  cancel: () => void;
  /** The server no longer accepts the key: it becomes the candidate, with its problem. */
  reject: (key: string, problem: Problem) => void;
  signOut: () => void;
}

function firstCandidate(): Candidate | null {
  const key = keyInLink() ?? storedKey();
  return key ? { key, problem: null } : null;
}

/** `query` verifies a key: it needs a credential and no permission. */
export function useKey<Data>(query?: string): KeyState<Data> {
  const [accepted, setAccepted] = useState<AcceptedKey<Data> | null>(null);
  const key = accepted?.key ?? null;
  const [candidate, setCandidate] = useState(firstCandidate);
  const verify = useCallback((next: string) => setCandidate({ key: next, problem: null }), []);

  // Sends the request before the browser paints the page for the first time, which takes long.
  useLayoutEffect(() => {
    if (!candidate || candidate.problem) return;
    const abort = new AbortController();
    void verifyKey<Data>(candidate.key, abort.signal, query).then((verification) => {
      if (abort.signal.aborted) return;
      const { problem } = verification;
      // Until the key is verified, the link stays in the address so that a reload tries it again.
      if (!problem?.canRetry) removeLink();
      if (problem) {
        if (!problem.canRetry) forgetKey(candidate.key);
        setCandidate({ ...candidate, problem });
      } else {
        keepKey(candidate.key);
        setAccepted({ key: candidate.key, data: verification.data });
        setCandidate(null);
      }
    });
    return () => abort.abort();
  }, [candidate, query]);

  useEffect(() => {
    // A link that is opened in a tab with this page changes the fragment and loads nothing.
    const takeLink = () => {
      const next = keyInLink();
      if (next) verify(next);
    };
    addEventListener("hashchange", takeLink);
    return () => removeEventListener("hashchange", takeLink);
  }, [verify]);

  useEffect(
    () =>
      shareKey((shared) =>
        setCandidate((now) => (now && !now.problem ? now : { key: shared, problem: null })),
      ),
    [],
  );

  useEffect(() => {
    // The browser shows the page again as it was before the user has signed out on another page of this tab.
    const show = ({ persisted }: PageTransitionEvent) => {
      if (!persisted || !key || storedKey() === key) return;
      setAccepted(null);
      setCandidate(firstCandidate());
    };
    addEventListener("pageshow", show);
    return () => removeEventListener("pageshow", show);
  }, [key]);

  const retry = useCallback(() => setCandidate((now) => now && { ...now, problem: null }), []);
  const cancel = useCallback(() => setCandidate(null), []);
  const reject = useCallback((rejected: string, problem: Problem) => {
    forgetKey(rejected);
    setCandidate({ key: rejected, problem });
  }, []);
  const signOut = useCallback(() => {
    if (key) forgetKey(key);
    setAccepted(null);
    setCandidate(null);
  }, [key]);

  const isVerifying = candidate !== null && candidate.problem === null;
  return { key, data: accepted?.data ?? null, candidate, isVerifying, verify, retry, cancel, reject, signOut };
}
