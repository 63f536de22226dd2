// The key of a page: from its link, this tab, another tab or the sign-in form. It is verified before the page uses it.

import { useCallback, useEffect, useState } from "react";
import { forgetKey, keepKey, keyInLink, removeLink, shareKey, storedKey } from "./key";
import { type Problem, verifyKey } from "./verify";

/** A key that is being verified, or that has a problem. */
interface Candidate {
  key: string;
  problem: Problem | null;
}

interface KeyState {
  /** The key that the server has accepted. */
  key: string | null;
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

export function useKey(): KeyState {
  const [key, setKey] = useState<string | null>(null);
  const [candidate, setCandidate] = useState(firstCandidate);
  const verify = useCallback((next: string) => setCandidate({ key: next, problem: null }), []);

  useEffect(() => {
    if (!candidate || candidate.problem) return;
    const abort = new AbortController();
    void verifyKey(candidate.key, abort.signal).then((problem) => {
      if (abort.signal.aborted) return;
      // Until the key is verified, the link stays in the address so that a reload tries it again.
      if (!problem?.canRetry) removeLink();
      if (problem) {
        if (!problem.canRetry) forgetKey(candidate.key);
        setCandidate({ ...candidate, problem });
      } else {
        keepKey(candidate.key);
        setKey(candidate.key);
        setCandidate(null);
      }
    });
    return () => abort.abort();
  }, [candidate]);

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
      setKey(null);
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
    setKey(null);
    setCandidate(null);
  }, [key]);

  const isVerifying = candidate !== null && candidate.problem === null;
  return { key, candidate, isVerifying, verify, retry, cancel, reject, signOut };
}
