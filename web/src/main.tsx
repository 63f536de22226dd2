// The page: a key first, then GraphiQL, which is only loaded once there is one.

import { lazy, Suspense, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { currentKey, forgetKey, keepKey } from "./key";
import "./page.css";
import { SignIn } from "./SignIn";

const Workbench = lazy(() => import("./Workbench"));
const loading = <p className="loading">Loading GraphiQL …</p>;

function Page() {
  const [key, setKey] = useState(currentKey);
  useEffect(() => {
    // A printed link opened in a tab that already shows the page changes nothing but the fragment.
    const take = () => setKey(currentKey());
    addEventListener("hashchange", take);
    return () => removeEventListener("hashchange", take);
  }, []);

  function signIn(given: string) {
    keepKey(given);
    setKey(given);
  }
  function changeKey() {
    forgetKey();
    setKey(null);
  }

  if (!key) return <SignIn onKey={signIn} />;
  return (
    <Suspense fallback={loading}>
      <Workbench key={key} secret={key} loading={loading} onChangeKey={changeKey} />
    </Suspense>
  );
}

createRoot(document.getElementById("page")!).render(<Page />);
