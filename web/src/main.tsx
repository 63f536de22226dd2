// The page: it verifies a key first, and loads GraphiQL only once the server has accepted one.

import { lazy, Suspense, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { forgetKey, keepKey, keyInLink, removeLink, shareKey, storedKey } from "../shared/key";
import "./page.css";
import { SignIn } from "./SignIn";
import { NO_LONGER_VALID, type Problem, verifyKey } from "../shared/verify";

const Workbench = lazy(() => import("./Workbench"));
const loading = <p className="loading">Loading GraphiQL …</p>;

/** A key that is being verified, or that has a problem. */
interface Candidate {
  key: string;
  problem: Problem | null;
}

function firstCandidate(): Candidate | null {
  const key = keyInLink() ?? storedKey();
  return key ? { key, problem: null } : null;
}

function Page() {
  const [key, setKey] = useState<string | null>(null);
  const [candidate, setCandidate] = useState(firstCandidate);
  const [isChanging, setIsChanging] = useState(false);
  const verify = (next: string) => setCandidate({ key: next, problem: null });

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
        setIsChanging(false);
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
  }, []);

  useEffect(
    () =>
      shareKey((shared) =>
        setCandidate((now) => (now && !now.problem ? now : { key: shared, problem: null })),
      ),
    [],
  );

  /** The key may no longer be valid, or a header that the user added was rejected. */
  async function verifyAgain(used: string) {
    const problem = await verifyKey(used, new AbortController().signal);
    if (!problem || problem.canRetry) return;
    forgetKey(used);
    setCandidate({ key: used, problem: NO_LONGER_VALID });
  }

  function cancel() {
    setCandidate(null);
    setIsChanging(false);
  }

  const isVerifying = candidate !== null && candidate.problem === null;
  const isSigningIn = !isVerifying && (!key || isChanging || candidate !== null);
  return (
    <>
      {isVerifying && <p className="loading">Verifying the key …</p>}
      {isSigningIn && (
        <SignIn
          problem={candidate?.problem ?? null}
          onKey={verify}
          onRetry={() => candidate && verify(candidate.key)}
          onCancel={key ? cancel : null}
        />
      )}
      {key && (
        <div className="workbench" hidden={isVerifying || isSigningIn}>
          <Suspense fallback={loading}>
            <Workbench
              key={key}
              secret={key}
              loading={loading}
              onChangeKey={() => setIsChanging(true)}
              onRejected={() => void verifyAgain(key)}
            />
          </Suspense>
        </div>
      )}
    </>
  );
}

createRoot(document.getElementById("page")!).render(<Page />);
