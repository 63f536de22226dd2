// Where GraphiQL and the console keep the key. It arrives in the fragment of a link, which a browser does not send. Each
// browser tab keeps its own copy and shares it with the other open tabs of both pages. Closing the
// last of them deletes the key.

import { API_URL } from "./server";

// Another server may be below another path of the same host.
const STORAGE_KEY = `tocsin:key:${new URL(API_URL).pathname}`;
const channel = new BroadcastChannel(STORAGE_KEY);

type Message = { asks: true } | { key: string };

const send = (message: Message) => channel.postMessage(message);

export function keyInLink(): string | null {
  return new URLSearchParams(location.hash.slice(1)).get("key") || null;
}

/** Removes the key from the address and from the browser's history. */
export function removeLink(): void {
  if (keyInLink()) history.replaceState(history.state, "", location.pathname + location.search);
}

export function storedKey(): string | null {
  return sessionStorage.getItem(STORAGE_KEY);
}

/** Keeps a verified key. */
export function keepKey(key: string): void {
  sessionStorage.setItem(STORAGE_KEY, key);
  send({ key });
}

export function forgetKey(key: string): void {
  if (storedKey() === key) sessionStorage.removeItem(STORAGE_KEY);
}

/** Shares the key with other tabs. A tab without a key calls `take` with one of theirs. */
export function shareKey(take: (key: string) => void): () => void {
  const listen = ({ data }: MessageEvent<Message>) => {
    const key = storedKey();
    if ("asks" in data) {
      if (key) send({ key });
    } else if (!key) {
      take(data.key);
    }
  };
  channel.addEventListener("message", listen);
  if (!storedKey() && !keyInLink()) send({ asks: true });
  return () => channel.removeEventListener("message", listen);
}
