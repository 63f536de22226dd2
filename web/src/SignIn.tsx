// The place for a key: what a visit without one sees, or one whose key is to be changed.

import type { FormEvent } from "react";

interface Props {
  onKey(key: string): void;
  onCancel: (() => void) | null;
}

export function SignIn({ onKey, onCancel }: Props) {
  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const key = new FormData(event.currentTarget).get("key");
    if (typeof key === "string" && key.trim()) onKey(key.trim());
  }

  return (
    <main className="sign-in">
      <h1>Tocsin · GraphiQL</h1>
      <p>
        <strong>{onCancel ? "Change the key." : "A key is needed."}</strong> Any API key or token
        can be pasted here:
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
        The first key came in a link that ends in <code>/graphql#key=…</code>. The server printed it
        once, when its database was new; opening it signs in as well.
      </p>
      <p>The key stays in the open tabs of this page and is forgotten when the last one closes.</p>
    </main>
  );
}
