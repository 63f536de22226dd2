// What a visit without a key sees: that it needs one, where keys come from, and a place for it.

import type { FormEvent } from "react";

export function SignIn({ onKey }: { onKey(key: string): void }) {
  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const key = new FormData(event.currentTarget).get("key");
    if (typeof key === "string" && key.trim()) onKey(key.trim());
  }

  return (
    <main className="sign-in">
      <h1>Tocsin · GraphiQL</h1>
      <p>
        <strong>A key is needed.</strong> Open the link that the server printed when its database
        was new (it ends in <code>/graphql#key=…</code>), or paste an API key or token:
      </p>
      <form onSubmit={submit}>
        <input name="key" type="password" aria-label="Key" autoComplete="off" required autoFocus />
        <button type="submit">Sign in</button>
      </form>
      <p>It stays in this browser tab and is forgotten when the tab closes.</p>
    </main>
  );
}
