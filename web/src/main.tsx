// The page: a key first, then GraphiQL, which is only loaded once there is one.

import { lazy, Suspense, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { currentKey, keepKey, shareKey } from "./key";
import "./page.css";
import { SignIn } from "./SignIn";

const Workbench = lazy(() => import("./Workbench"));
const loading = <p className="loading">Loading GraphiQL …</p>;

function Page() {
  const [key, setKey] = useState(currentKey);
  const [changing, setChanging] = useState(false);
  useEffect(() => {
    // A printed link opened in a tab that already shows the page changes nothing but the fragment.
    const take = () => {
      setKey(currentKey());
      setChanging(false);
    };
    addEventListener("hashchange", take);
    return () => removeEventListener("hashchange", take);
  }, []);

  useEffect(() => shareKey(setKey), []);

  function signIn(given: string) {
    keepKey(given);
    setKey(given);
    setChanging(false);
  }

  if (!key) return <SignIn onKey={signIn} onCancel={null} />;
  return (
    <>
      {changing && <SignIn onKey={signIn} onCancel={() => setChanging(false)} />}
      <div className="workbench" hidden={changing}>
        <Suspense fallback={loading}>
          <Workbench
            key={key}
            secret={key}
            loading={loading}
            onChangeKey={() => setChanging(true)}
          />
        </Suspense>
      </div>
    </>
  );
}

createRoot(document.getElementById("page")!).render(<Page />);
