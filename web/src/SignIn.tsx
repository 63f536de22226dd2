// The sign-in form, for a visit without a valid key and for a change of key.

import type { FormEvent } from "react";
import type { Problem } from "../shared/verify";

interface Props {
  problem: Problem | null;
  onKey(key: string): void;
  onRetry(): void;
  onCancel: (() => void) | null;
}

export function SignIn({ problem, onKey, onRetry, onCancel }: Props) {
  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const key = new FormData(event.currentTarget).get("key");
    if (typeof key === "string" && key.trim()) onKey(key.trim());
  }

  return (
    <main className="sign-in">
      <h1>Tocsin · GraphiQL</h1>
      {problem && (
        <div className="problem" role="alert">
          <p>{problem.message}</p>
          {problem.canRetry && (
            <button type="button" onClick={onRetry}>
              Try again
            </button>
          )}
        </div>
      )}
      <p>
        {onCancel ? "Change the key. " : "Sign in with a key. "}
        Paste an API key or an access token:
      </p>
      <form onSubmit={submit}>
        <input name="key" type="password" aria-label="Key" autoComplete="off" required autoFocus />
        <button type="submit">Sign in</button>
        {onCancel && (
          <button type="button" onClick={onCancel}>
            Cancel
          </button>
        )}
      </form>
      <p>
        When the server creates its database, it prints a link that ends in{" "}
        <code>/graphql#key=…</code>. Open this link to sign in with the first key.
      </p>
      <p>
        The key is kept in the open browser tabs of this page and deleted when you close the last
        one.
      </p>
    </main>
  );
}
