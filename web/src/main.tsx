// The page: it verifies a key first, and loads GraphiQL only once the server has accepted one.

import { lazy, Suspense, useState } from "react";
import { createRoot } from "react-dom/client";
import { useKey } from "../shared/useKey";
import { NO_LONGER_VALID, verifyKey } from "../shared/verify";
import "./page.css";
import { SignIn } from "./SignIn";

const Workbench = lazy(() => import("./Workbench"));
const loading = <p className="loading">Loading GraphiQL …</p>;

function Page() {
  const { key, candidate, isVerifying, verify, retry, cancel, reject } = useKey();
  const [isChanging, setIsChanging] = useState(false);

  /** The key may no longer be valid, or a header that the user added was rejected. */
  async function verifyAgain(used: string) {
    const { problem } = await verifyKey(used, new AbortController().signal);
    if (problem && !problem.canRetry) reject(used, NO_LONGER_VALID);
  }

  /** Leaves the form for a change of key. */
  function leave() {
    setIsChanging(false);
    cancel();
  }

  const isSigningIn = !isVerifying && (!key || isChanging || candidate !== null);
  return (
    <>
      {isVerifying && <p className="loading">Verifying the key …</p>}
      {isSigningIn && (
        <SignIn
          problem={candidate?.problem ?? null}
          onKey={(next) => {
            setIsChanging(false);
            verify(next);
          }}
          onRetry={retry}
          onCancel={key ? leave : null}
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
